// conformance.js: what a broker does for honest clients, case by case: "CASE: what was seen" a line, in the order of the case files. The scenario
// broker_conformance runs it against Mosquitto alone and against Mosquitto with the plugin, and compares.
// usage: node conformance.js PORT WEBSOCKET-PORT PKI-FOLDER LANES     certificates laneN-a, laneN-b, laneN-c in the folder, N = 1 .. LANES
// Everybody may read and write all/# and d/NAME/#. A case that finds what MQTT does not allow says "WRONG …" itself.
'use strict'
const { Site } = require('./client')

const [port, wsPort, pki, lanes] = process.argv.slice(2)
const LIMIT_MS = 20000 // of one case
const cases = [...require('./cases_message'), ...require('./cases_session'), ...require('./cases_v5')]
const seen = new Map()
let next = 0

// Clients of a lane take part in one case at a time
async function lane(n) {
  while (next < cases.length) {
    const i = next++
    const [name, run] = cases[i]
    const site = new Site(Number(port), Number(wsPort), pki)
    const lines = []
    const what = {
      site, a: `lane${n}-a`, b: `lane${n}-b`, c: `lane${n}-c`, topic: `all/${i}`, say: text => lines.push(String(text)),
      must: (good, text) => { if (!good) lines.push(`WRONG ${text}`) }
    }
    const limit = new Promise((resolve, reject) => setTimeout(() => reject(new Error(`not done within ${LIMIT_MS} ms`)), LIMIT_MS).unref())
    try { await Promise.race([run(what), limit]) } catch (e) { lines.push(`WRONG ${e.message}`) }
    site.close()
    // the names of clients differ from lane to lane
    seen.set(name, lines.map(l => l.replace(new RegExp(`lane${n}-`, 'g'), '').replace(new RegExp(`all/${i}\\b`, 'g'), 'T')))
  }
}

Promise.all(Array.from({ length: Number(lanes) }, (_, i) => lane(i + 1))).then(() => {
  for (const [name] of cases) {
    const lines = seen.get(name)
    if (!lines.length) lines.push('WRONG nothing was seen')
    for (const l of lines) console.log(`${name}: ${l}`)
  }
  process.exit(0)
})
