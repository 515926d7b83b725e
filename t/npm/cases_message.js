// cases_message.js: publishing and receiving: QoS, order, retained messages, filters, payloads.
'use strict'
const crypto = require('crypto')
const { sleep } = require('./client')

const cases = []
const add = (name, run) => cases.push([name, run])
const numbers = n => Array.from({ length: n }, (_, i) => String(i))
const flags = m => `${m.payload} qos=${m.packet.qos} retain=${m.packet.retain} dup=${m.packet.dup}`

for (const version of [3, 4, 5]) {
  const protocol = { protocolVersion: version, protocolId: version === 3 ? 'MQIsdp' : 'MQTT' }
  for (const qos of [0, 1, 2]) {
    add(`v${version} QoS ${qos}, all arrive, once, in order`, async t => {
      const [sub, pub] = [await t.site.client(t.b, protocol), await t.site.client(t.a, protocol)]
      const granted = await sub.subscribeAsync(t.topic, { qos })
      for (let i = 0; i < 40; i += 10) await Promise.all(numbers(40).slice(i, i + 10).map(n => pub.publishAsync(t.topic, n, { qos })))
      await sub.inbox.count(40)
      await sleep(100)
      t.must(sub.texts().join() === numbers(40).join(), sub.texts().join())
      t.say(`granted ${granted[0].qos}, ${sub.texts().length} of 40, last ${flags(sub.inbox.all[39])}`)
      await t.site.bye(sub, pub)
    })
  }
}

add('QoS is the lower one of publisher and subscriber', async t => {
  const [sub, pub] = [await t.site.client(t.b), await t.site.client(t.a)]
  for (const to of [0, 1, 2]) {
    await sub.subscribeAsync(t.topic, { qos: to })
    for (const from of [0, 1, 2]) await pub.publishAsync(t.topic, `${from}-${to}`, { qos: from })
  }
  const all = await sub.inbox.count(9)
  for (const m of all) {
    const [from, to] = m.payload.toString().split('-').map(Number)
    t.must(m.packet.qos === Math.min(from, to), flags(m))
  }
  t.say(all.map(m => `${m.payload}:${m.packet.qos}`).join(' '))
})

add('versions talk to each other', async t => {
  const [sub, pub] = [await t.site.client(t.b, { protocolVersion: 4 }), await t.site.client(t.a, { protocolVersion: 5 })]
  await sub.subscribeAsync(t.topic, { qos: 1 })
  await pub.publishAsync(t.topic, 'x', { qos: 1, properties: { contentType: 'text/plain', userProperties: { k: 'v' } } })
  t.say(flags((await sub.inbox.count(1))[0]))
})

for (const version of [4, 5]) {
  add(`v${version} retained, set, delivered on subscribe, replaced, cleared`, async t => {
    const pub = await t.site.client(t.a, { protocolVersion: version })
    const sub = await t.site.client(t.b, { protocolVersion: version })
    await sub.subscribeAsync(`${t.topic}/#`, { qos: 1 })
    for (const [text, qos] of [['one', 0], ['two', 1]]) await pub.publishAsync(`${t.topic}/r`, text, { qos, retain: true })
    await pub.publishAsync(`${t.topic}/s`, 'plain', { qos: 1 })
    t.say(`live: ${(await sub.inbox.count(3)).map(flags).join('; ')}`)
    const late = await t.site.client(t.c, { protocolVersion: version })
    await late.subscribeAsync(`${t.topic}/#`, { qos: 2 })
    t.say(`late: ${(await late.inbox.count(1)).map(flags).join('; ')}`)
    await late.subscribeAsync(`${t.topic}/#`, { qos: 0 })
    t.say(`again: ${(await late.inbox.count(2)).map(flags).join('; ')}`)
    await pub.publishAsync(`${t.topic}/r`, '', { qos: 1, retain: true })
    await late.inbox.count(3)
    await t.site.bye(late)
    const later = await t.site.client(t.c, { protocolVersion: version })
    await later.subscribeAsync(`${t.topic}/#`, { qos: 1 })
    await pub.publishAsync(`${t.topic}/end`, 'end', { qos: 1 })
    await later.inbox.count(1)
    t.must(later.texts().join() === 'end', 'a cleared message came back')
    t.say(`cleared: ${later.texts().join()}`)
  })
}

add('a publisher that subscribes hears itself', async t => {
  const c = await t.site.client(t.a, { protocolVersion: 4 })
  await c.subscribeAsync(t.topic, { qos: 1 })
  await c.publishAsync(t.topic, 'me', { qos: 1 })
  t.say(flags((await c.inbox.count(1))[0]))
})

add('own topics, d/NAME', async t => {
  const c = await t.site.client(t.a)
  const granted = await c.subscribeAsync(`d/${t.a}/${t.topic}/#`, { qos: 1 })
  const puback = await c.publishAsync(`d/${t.a}/${t.topic}/x`, 'me', { qos: 1 })
  t.say(`granted ${granted[0].qos}, puback ${puback.reasonCode || 0}, ${(await c.inbox.count(1)).map(flags)}`)
})

add("another's topics, v5 says so, the connection stays", async t => {
  const c = await t.site.client(t.a)
  let code = 0
  await c.publishAsync(`d/${t.b}/x`, 'me', { qos: 1 }).catch(e => { code = e.code })
  const puback = await c.publishAsync(t.topic, 'me', { qos: 1 })
  t.must(code === 135, `reason ${code}`)
  t.say(`refused with ${code}, then ${puback.reasonCode || 0}`)
})

add('wildcards and levels', async t => {
  const sub = await t.site.client(t.b)
  const pub = await t.site.client(t.a)
  const filters = ['+', '+/b', 'a/+', '#', 'a/#', 'a', '/+', '+/+/+']
  const hits = {}
  for (const f of filters) {
    await sub.subscribeAsync(`${t.topic}/${f}`, { qos: 1 })
    for (const topic of ['a', 'a/b', 'a/b/c', '/x', 'b', 'a//c', ' ', 'a b']) await pub.publishAsync(`${t.topic}/${topic}`, f, { qos: 1 })
    await pub.publishAsync(`${t.topic}/a`, 'mark', { qos: 0 })
    await sleep(60)
    await sub.unsubscribeAsync(`${t.topic}/${f}`)
    hits[f] = sub.inbox.all.filter(m => m.payload.toString() === f).map(m => m.topic.slice(t.topic.length + 1))
  }
  for (const f of filters) t.say(`${f} takes ${JSON.stringify(hits[f])}`)
  t.must(hits['#'].length === 8 && hits.a.join() === 'a', 'not as 4.7 says')
})

add('names in many scripts', async t => {
  const [sub, pub] = [await t.site.client(t.b), await t.site.client(t.a)]
  await sub.subscribeAsync(`${t.topic}/#`, { qos: 1 })
  const names = ['größe', '温度', 'θερμοκρασία', 'درجة', 'tempé/räture', '🌡', '𝒳/𝒴', 'a%u', 'ein Wort']
  for (const n of names) await pub.publishAsync(`${t.topic}/${n}`, n, { qos: 1 })
  const all = await sub.inbox.count(names.length)
  t.must(all.every((m, i) => m.topic === `${t.topic}/${names[i]}` && m.payload.toString() === names[i]), 'a name was changed')
  t.say(all.map(m => m.topic).join(' '))
})

for (const [version, qos] of [[4, 0], [4, 1], [5, 2]]) {
  add(`v${version} QoS ${qos}, a payload of 1 MiB`, async t => {
    const [sub, pub] = [await t.site.client(t.b, { protocolVersion: version }), await t.site.client(t.a, { protocolVersion: version })]
    await sub.subscribeAsync(t.topic, { qos })
    const data = Buffer.alloc(1 << 20, 'The same bytes come out. ')
    await pub.publishAsync(t.topic, data, { qos })
    const [m] = await sub.inbox.count(1)
    t.must(m.payload.equals(data), 'other bytes')
    t.say(`${m.payload.length} ${crypto.createHash('sha256').update(m.payload).digest('hex')}`)
  })
}

add('a topic of 1000 levels is no honest one, one of 100 is', async t => {
  const [sub, pub] = [await t.site.client(t.b), await t.site.client(t.a)]
  await sub.subscribeAsync(`${t.topic}/#`, { qos: 1 })
  await pub.publishAsync(`${t.topic}${'/l'.repeat(100)}`, 'deep', { qos: 1 })
  t.say(`${(await sub.inbox.count(1))[0].topic.length - t.topic.length} ${sub.texts()}`)
  pub.publish(`${t.topic}${'/l'.repeat(1000)}`, 'too deep', { qos: 1 })
  await Promise.race([pub.closed(), sleep(400)])
  t.say(`1000 levels: ${sub.inbox.all.length} messages, connection ${pub.connected ? 'open' : `closed ${pub.goodbye}`}`)
})

add('overlapping subscriptions', async t => {
  for (const version of [4, 5]) {
    const sub = await t.site.client(t.b, { protocolVersion: version })
    const pub = await t.site.client(t.a)
    for (const [f, qos] of [['#', 0], ['+', 1], ['x', 2]]) await sub.subscribeAsync(`${t.topic}/${f}`, { qos })
    await pub.publishAsync(`${t.topic}/x`, 'one', { qos: 2 })
    await pub.publishAsync(`${t.topic}/x/end`, 'end', { qos: 0 })
    await sub.inbox.until(all => ['one', 'end'].every(x => all.some(m => m.payload.toString() === x)), 'both')
    await sleep(300)
    t.say(`v${version}: ${sub.inbox.all.map(m => `${m.payload}:${m.packet.qos}`).sort().join(' ')}`)
    await t.site.bye(sub, pub)
  }
})

add('unsubscribe', async t => {
  const [sub, pub] = [await t.site.client(t.b), await t.site.client(t.a)]
  await sub.subscribeAsync([`${t.topic}/x`, `${t.topic}/y`], { qos: 1 })
  const ack = await new Promise((resolve, reject) => sub.unsubscribe([`${t.topic}/x`, `${t.topic}/z`], {}, (e, p) => e ? reject(e) : resolve(p)))
  await pub.publishAsync(`${t.topic}/x`, 'x', { qos: 1 })
  await pub.publishAsync(`${t.topic}/y`, 'y', { qos: 1 })
  await sub.inbox.count(1)
  t.must(sub.texts().join() === 'y', 'x is still heard')
  t.say(`unsuback ${ack && ack.granted}, hears ${sub.texts()}`)
})

add('many filters in one SUBSCRIBE', async t => {
  const w = await t.site.wire(t.b)
  w.send({ cmd: 'subscribe', messageId: 7, subscriptions: numbers(50).map(n => ({ topic: `${t.topic}/${n}`, qos: n % 3 })) })
  const ack = await w.take('suback')
  t.say(`${ack.messageId}: ${ack.granted.join('')}`)
})

add('$SYS where it may be read', async t => {
  const c = await t.site.client(t.a)
  const granted = await c.subscribeAsync('$SYS/broker/version', { qos: 1 })
  const [m] = await c.inbox.count(1)
  t.say(`granted ${granted[0].qos}, ${flags(m)}`)
})

add('a burst, 500 of QoS 1, none lost, in order', async t => {
  const [sub, pub] = [await t.site.client(t.b, { protocolVersion: 4 }), await t.site.client(t.a, { protocolVersion: 4 })]
  await sub.subscribeAsync(t.topic, { qos: 1 })
  await Promise.all(numbers(500).map(n => pub.publishAsync(t.topic, n, { qos: 1 })))
  await sub.inbox.count(500)
  t.must(sub.texts().join() === numbers(500).join(), 'out of order')
  t.say(sub.inbox.all.length)
})

add('by websocket', async t => {
  const [sub, pub] = [await t.site.client(t.b, { protocol: 'wss' }), await t.site.client(t.a, { protocol: 'wss', protocolVersion: 4 })]
  await sub.subscribeAsync(t.topic, { qos: 2 })
  const data = Buffer.alloc(70000, 'ws')
  await pub.publishAsync(t.topic, 'small', { qos: 2 })
  await pub.publishAsync(t.topic, data, { qos: 1 })
  const all = await sub.inbox.count(2)
  all.sort((x, y) => x.payload.length - y.payload.length) // what comes by QoS 2 ends a round trip later, so the other may overtake it
  t.must(all[1].payload.equals(data), 'other bytes')
  t.say(all.map(m => `${m.payload.length} qos=${m.packet.qos}`).join('; '))
})

add('a topic name with a wildcard ends the connection', async t => {
  for (const version of [4, 5]) {
    const w = await t.site.wire(t.a, { protocolVersion: version })
    w.socket.write(Buffer.from([0x30, version === 5 ? 6 : 5, 0, 3, 0x61, 0x2f, 0x23].concat(version === 5 ? [0] : [])))
    await w.closed()
    const bye = w.inbox.all.find(p => p.cmd === 'disconnect')
    t.say(`v${version}: closed ${bye ? bye.reasonCode : ''}`)
  }
})

module.exports = cases
