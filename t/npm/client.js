// client.js: two kinds of MQTT client for the cases of conformance.js, both with the certificate of their name: mqtt.js as an application uses it,
// and a wire that sends and shows packets one by one (mqtt.js' own codec), for what a library hides.
'use strict'
const fs = require('fs')
const tls = require('tls')
const mqtt = require('mqtt')
const packets = require('mqtt-packet')

const LIMIT_MS = 12000 // of one wait; a case that needs it has failed

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

// A list to which things come by and by
class Inbox {
  constructor() { this.all = []; this.waiters = [] }
  put(x) { this.all.push(x); this.waiters.forEach(w => w()) }
  async until(good, what) {
    const end = Date.now() + LIMIT_MS
    while (!good(this.all)) {
      if (Date.now() > end) throw new Error(`in vain waited for ${what}; had ${JSON.stringify(this.all).slice(0, 300)}`)
      let timer, waiter
      await new Promise(resolve => { waiter = resolve; this.waiters.push(waiter); timer = setTimeout(resolve, 1000) })
      clearTimeout(timer)
      this.waiters = this.waiters.filter(w => w !== waiter)
    }
    return this.all
  }
  count(n) { return this.until(all => all.length >= n, `${n} things`) }
}

class Site {
  constructor(port, wsPort, pki) { Object.assign(this, { port, wsPort, pki, open: new Set() }) }
  credentials(name) {
    const file = end => fs.readFileSync(`${this.pki}/${name}.${end}`)
    return { ca: fs.readFileSync(`${this.pki}/bundle.pem`), cert: file('pem'), key: file('key') }
  }

  // mqtt.js: its CONNACK in .connack, messages in .inbox, its end in .closed, the broker's DISCONNECT in .goodbye
  async client(name, options = {}) {
    const c = mqtt.connect({
      host: 'localhost', protocol: 'mqtts', port: options.protocol === 'wss' ? this.wsPort : this.port, path: options.protocol === 'wss' ? '/mqtt' : undefined,
      ...this.credentials(name), clientId: name, protocolVersion: 5, reconnectPeriod: 0, connectTimeout: LIMIT_MS, keepalive: 60, resubscribe: false, ...options
    })
    this.open.add(c)
    c.inbox = new Inbox()
    c.end_of = new Inbox()
    c.on('message', (topic, payload, packet) => c.inbox.put({ topic, payload, packet }))
    c.on('disconnect', packet => { c.goodbye = packet.reasonCode })
    c.on('close', () => c.end_of.put('closed'))
    c.closed = () => c.end_of.count(1)
    c.texts = () => c.inbox.all.map(m => m.payload.toString())
    c.on('error', () => {})
    await new Promise((resolve, reject) => {
      c.once('connect', connack => { c.connack = connack; resolve() })
      c.once('error', reject)
      c.once('close', () => reject(new Error(`${name}: closed before CONNACK`)))
    })
    return c
  }
  async bye(...clients) { for (const c of clients) { this.open.delete(c); await c.endAsync() } }
  drop(c) { this.open.delete(c); c.stream.destroy() } // as when the power fails

  // the wire: .send(packet), .take(cmd) takes the next packet of that kind, .closed()
  async wire(name, connect = {}) {
    const socket = tls.connect({ host: 'localhost', port: this.port, ...this.credentials(name) })
    const w = { socket, inbox: new Inbox(), end_of: new Inbox(), version: connect.protocolVersion || 5 }
    const parser = packets.parser({ protocolVersion: w.version })
    this.open.add(w)
    parser.on('packet', p => w.inbox.put(p))
    socket.on('data', data => parser.parse(data))
    socket.on('error', () => {})
    socket.on('close', () => w.end_of.put('closed'))
    w.closed = () => w.end_of.count(1)
    w.send = packet => socket.write(packets.generate(packet, { protocolVersion: w.version }))
    w.drop = () => { this.open.delete(w); socket.destroy() }
    w.taken = 0
    w.take = async cmd => {
      const find = all => all.findIndex((p, i) => i >= w.taken && p.cmd === cmd)
      const all = await w.inbox.until(list => find(list) >= 0, cmd)
      const i = find(all)
      w.taken = i + 1
      return all[i]
    }
    await new Promise((resolve, reject) => { socket.once('secureConnect', resolve); socket.once('error', reject) })
    w.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: w.version, clean: true, clientId: name, keepalive: 60, ...connect })
    w.connack = await w.take('connack')
    return w
  }
  close() {
    for (const c of this.open) if (c.end) c.end(true); else c.socket.destroy()
    this.open.clear()
  }
}

module.exports = { Inbox, Site, sleep }
