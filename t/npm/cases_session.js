// cases_session.js: sessions, wills, takeover, keep alive, and what is delivered again.
'use strict'
const { sleep } = require('./client')

const cases = []
const add = (name, run) => cases.push([name, run])
const persistent = { protocolVersion: 4, clean: false }

add('v4 a session is kept, and ends with a clean one', async t => {
  let c = await t.site.client(t.b, { protocolVersion: 4, clean: true })
  await t.site.bye(c)
  c = await t.site.client(t.b, persistent)
  const first = c.connack.sessionPresent
  await c.subscribeAsync(`${t.topic}/#`, { qos: 2 })
  await t.site.bye(c)
  const pub = await t.site.client(t.a)
  for (const qos of [0, 1, 2]) await pub.publishAsync(`${t.topic}/${qos}`, `queued ${qos}`, { qos })
  c = await t.site.client(t.b, persistent)
  const second = c.connack.sessionPresent
  await pub.publishAsync(`${t.topic}/live`, 'live', { qos: 2 })
  await c.inbox.until(all => all.some(m => m.payload.toString() === 'live'), 'live')
  t.say(`present ${first}, then ${second}; ${c.inbox.all.map(m => `${m.payload} qos=${m.packet.qos} retain=${m.packet.retain}`).join('; ')}`)
  t.must(!first && second, 'session present')
  await t.site.bye(c)
  c = await t.site.client(t.b, { protocolVersion: 4, clean: true })
  await t.site.bye(c)
  c = await t.site.client(t.b, persistent)
  t.say(`after a clean one: present ${c.connack.sessionPresent}`)
  await t.site.bye(c)
  await t.site.bye(await t.site.client(t.b, { clean: true }))
})

add('200 messages wait in order for who is away', async t => {
  await t.site.bye(await t.site.client(t.b, { clean: true }))
  let c = await t.site.client(t.b, persistent)
  await c.subscribeAsync(t.topic, { qos: 1 })
  await t.site.bye(c)
  const pub = await t.site.client(t.a)
  const want = Array.from({ length: 200 }, (_, i) => String(i))
  await Promise.all(want.map(n => pub.publishAsync(t.topic, n, { qos: 1 })))
  c = await t.site.client(t.b, persistent)
  await c.inbox.count(200)
  t.must(c.texts().join() === want.join(), c.texts().join())
  t.say(c.inbox.all.length)
  await t.site.bye(c)
  await t.site.bye(await t.site.client(t.b, { clean: true }))
})

add('v5 session expiry', async t => {
  const expiry = s => ({ clean: false, properties: { sessionExpiryInterval: s } })
  await t.site.bye(await t.site.client(t.b, { clean: true }))
  let c = await t.site.client(t.b, expiry(60))
  await c.subscribeAsync(t.topic, { qos: 1 })
  await t.site.bye(c)
  c = await t.site.client(t.b, expiry(1))
  const kept = c.connack.sessionPresent
  await t.site.bye(c)
  await sleep(3500)
  c = await t.site.client(t.b, expiry(60))
  const ended = c.connack.sessionPresent
  t.must(kept && !ended, `kept ${kept}, ended ${ended}`)
  await c.subscribeAsync(t.topic, { qos: 1 })
  await c.endAsync(false, { properties: { sessionExpiryInterval: 0 } })
  c = await t.site.client(t.b, expiry(0))
  t.say(`kept ${kept}, after its time ${ended}, after DISCONNECT with 0 ${c.connack.sessionPresent}`)
})

const will = (t, more) => ({ will: { topic: `${t.topic}/will`, payload: 'gone', qos: 1, retain: false, ...more } })
for (const version of [4, 5]) {
  add(`v${version} a will, when the line breaks, not after DISCONNECT`, async t => {
    const sub = await t.site.client(t.b)
    await sub.subscribeAsync(`${t.topic}/#`, { qos: 1 })
    let c = await t.site.client(t.a, { protocolVersion: version, ...will(t) })
    await t.site.bye(c)
    c = await t.site.client(t.a, { protocolVersion: version, ...will(t, { payload: 'broken' }) })
    t.site.drop(c)
    await sub.inbox.count(1)
    await sleep(200)
    t.must(sub.texts().join() === 'broken', sub.texts())
    t.say(`${sub.texts()} qos=${sub.inbox.all[0].packet.qos} retain=${sub.inbox.all[0].packet.retain}`)
  })
}

add('a retained will', async t => {
  const c = await t.site.client(t.a, will(t, { retain: true }))
  const live = await t.site.client(t.b)
  await live.subscribeAsync(`${t.topic}/#`, { qos: 1 })
  t.site.drop(c)
  await live.inbox.count(1)
  const late = await t.site.client(t.c)
  await late.subscribeAsync(`${t.topic}/will`, { qos: 1 })
  t.say(`live retain=${live.inbox.all[0].packet.retain}, late retain=${(await late.inbox.count(1))[0].packet.retain}`)
  await live.publishAsync(`${t.topic}/will`, '', { qos: 1, retain: true })
})

add('v5 DISCONNECT with will', async t => {
  const sub = await t.site.client(t.b)
  await sub.subscribeAsync(`${t.topic}/#`, { qos: 1 })
  const w = await t.site.wire(t.a, { will: { topic: `${t.topic}/will`, payload: Buffer.from('asked for'), qos: 1, retain: false } })
  w.send({ cmd: 'disconnect', reasonCode: 4 })
  await sub.inbox.count(1)
  t.say(sub.texts())
})

add('v5 a delayed will, not when its session comes back in time', async t => {
  const sub = await t.site.client(t.b)
  await sub.subscribeAsync(`${t.topic}/#`, { qos: 1 })
  const come = text => t.site.client(t.a, { clean: false, properties: { sessionExpiryInterval: 30 }, ...will(t, { payload: text, properties: { willDelayInterval: 1 } }) })
  let c = await come('too early')
  t.site.drop(c)
  await sleep(200)
  c = await come('in time')
  const before = sub.inbox.all.length
  await sleep(1800)
  const back = sub.inbox.all.length
  t.site.drop(c)
  await sleep(400)
  const at_once = sub.inbox.all.length
  await sub.inbox.count(1)
  t.must(before + back + at_once === 0 && sub.texts().join() === 'in time', `${before} ${back} ${at_once} ${sub.texts()}`)
  t.say(`at once ${at_once}, later ${sub.texts()}`)
})

for (const version of [4, 5]) {
  add(`v${version} takeover, the newer connection stays and goes on with the session`, async t => {
    const sub = await t.site.client(t.b)
    await sub.subscribeAsync(`${t.topic}/#`, { qos: 1 })
    const keep = version === 5 ? { clean: false, properties: { sessionExpiryInterval: 30 } } : { clean: false }
    const first = await t.site.client(t.a, { protocolVersion: version, ...keep, ...will(t, { payload: 'taken over' }) })
    await first.subscribeAsync(`${t.topic}/to-a`, { qos: 1 })
    const second = await t.site.client(t.a, { protocolVersion: version, ...keep })
    await first.closed()
    await sub.publishAsync(`${t.topic}/to-a`, 'hello', { qos: 1 })
    await second.inbox.count(1)
    await sleep(300)
    t.say(`first closed ${first.goodbye}, second present ${second.connack.sessionPresent}, hears ${second.texts()}; others hear ${sub.texts().sort()}`)
    await t.site.bye(second, sub)
    await t.site.bye(await t.site.client(t.a, { clean: true }))
  })
}

add('v5 takeover by a clean session', async t => {
  const sub = await t.site.client(t.b)
  await sub.subscribeAsync(`${t.topic}/#`, { qos: 1 })
  const first = await t.site.client(t.a, will(t, { payload: 'taken over' }))
  const second = await t.site.client(t.a, { clean: true })
  await first.closed()
  await sub.inbox.count(1)
  t.say(`first closed ${first.goodbye}, second present ${second.connack.sessionPresent}, others hear ${sub.texts()}`)
})

for (const version of [4, 5]) {
  add(`v${version} keep alive, who is silent is put out, with will`, async t => {
    const sub = await t.site.client(t.b)
    await sub.subscribeAsync(`${t.topic}/#`, { qos: 1 })
    const w = await t.site.wire(t.a, { protocolVersion: version, keepalive: 2, will: { topic: `${t.topic}/will`, payload: Buffer.from('silent'), qos: 1, retain: false } })
    const at = Date.now()
    await w.closed()
    const took = Date.now() - at
    await sub.inbox.count(1)
    const bye = w.inbox.all.find(p => p.cmd === 'disconnect')
    t.must(took >= 1500 && took < 9000, `${took} ms`) // it counts whole seconds
    t.say(`closed ${bye ? bye.reasonCode : ''}, will ${sub.texts()}`)
  })
}

add('pings are answered and keep the connection', async t => {
  const w = await t.site.wire(t.a, { protocolVersion: 4, keepalive: 2 })
  for (let i = 0; i < 10; i++) {
    await sleep(500)
    w.send({ cmd: 'pingreq' })
    await w.take('pingresp')
  }
  t.say(`${w.inbox.all.filter(p => p.cmd === 'pingresp').length} answers, ${w.end_of.all.length ? 'closed' : 'open'}`)
})

add('QoS 1 is delivered again after the line broke', async t => {
  await t.site.bye(await t.site.client(t.b, { clean: true }))
  let w = await t.site.wire(t.b, { protocolVersion: 4, clean: false })
  w.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: t.topic, qos: 1 }] })
  await w.take('suback')
  const pub = await t.site.client(t.a)
  await pub.publishAsync(t.topic, 'once more', { qos: 1 })
  const first = await w.take('publish')
  w.drop()
  w = await t.site.wire(t.b, { protocolVersion: 4, clean: false })
  const again = await w.take('publish')
  w.send({ cmd: 'puback', messageId: again.messageId })
  t.must(first.messageId === again.messageId && again.dup, 'another message')
  t.say(`first dup=${first.dup}, again dup=${again.dup} ${again.payload}`)
  w.send({ cmd: 'disconnect' })
  await w.closed()
  w = await t.site.wire(t.b, { protocolVersion: 4, clean: false })
  await sleep(200)
  t.say(`acknowledged: ${w.inbox.all.filter(p => p.cmd === 'publish').length} more`)
  w.drop()
  await t.site.bye(await t.site.client(t.b, { clean: true }))
})

add('QoS 2 goes on where the line broke', async t => {
  await t.site.bye(await t.site.client(t.b, { clean: true }))
  const come = () => t.site.wire(t.b, { protocolVersion: 4, clean: false })
  let w = await come()
  w.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: t.topic, qos: 2 }] })
  await w.take('suback')
  const pub = await t.site.client(t.a)
  await pub.publishAsync(t.topic, 'exactly once', { qos: 2 })
  const first = await w.take('publish')
  w.drop()
  w = await come()
  const again = await w.take('publish')
  w.send({ cmd: 'pubrec', messageId: again.messageId })
  await w.take('pubrel')
  w.drop()
  w = await come()
  const rel = await w.take('pubrel')
  w.send({ cmd: 'pubcomp', messageId: rel.messageId })
  await sleep(200)
  const rest = w.inbox.all.filter(p => p.cmd === 'publish').length
  t.must(rel.messageId === first.messageId && rest === 0, 'delivered twice')
  t.say(`again dup=${again.dup}, then only its release, ${rest} more`)
  w.drop()
  await t.site.bye(await t.site.client(t.b, { clean: true }))
})

add('a publisher repeats QoS 2, the message goes out once', async t => {
  const sub = await t.site.client(t.b)
  await sub.subscribeAsync(t.topic, { qos: 2 })
  const w = await t.site.wire(t.a, { protocolVersion: 4 })
  const p = { cmd: 'publish', topic: t.topic, payload: 'once', qos: 2, messageId: 9, retain: false, dup: false }
  w.send(p)
  await w.take('pubrec')
  w.send({ ...p, dup: true })
  await w.take('pubrec')
  w.send({ cmd: 'pubrel', messageId: 9 })
  await w.take('pubcomp')
  await sub.inbox.count(1)
  await sleep(200)
  t.must(sub.inbox.all.length === 1, sub.texts())
  t.say(sub.texts())
})

module.exports = cases
