// cases_v5.js: what came with MQTT 5.
'use strict'
const { sleep } = require('./client')

const cases = []
const add = (name, run) => cases.push([name, run])
const both = async (t, qos = 1) => {
  const [sub, pub] = [await t.site.client(t.b), await t.site.client(t.a)]
  await sub.subscribeAsync(`${t.topic}/#`, { qos })
  return [sub, pub]
}

add('CONNACK', async t => {
  const c = await t.site.client(t.a)
  t.say(JSON.stringify({ code: c.connack.reasonCode, present: c.connack.sessionPresent, ...c.connack.properties }))
})

add('CONNACK, a keep alive that is too long, a large receive maximum, a packet size', async t => {
  const w = await t.site.wire(t.a, { keepalive: 65535, properties: { receiveMaximum: 65535, maximumPacketSize: 268435455, requestProblemInformation: true, requestResponseInformation: true } })
  t.say(JSON.stringify({ code: w.connack.reasonCode, ...w.connack.properties }))
})

add('properties go through as they are', async t => {
  const [sub, pub] = await both(t)
  await pub.publishAsync(`${t.topic}/x`, '{}', {
    qos: 1,
    properties: {
      payloadFormatIndicator: true, contentType: 'application/json', responseTopic: `${t.topic}/answer`, correlationData: Buffer.from('00ff10', 'hex'),
      userProperties: { unit: ['°C', 'K'], 'clé': 'valeur' }
    }
  })
  const p = (await sub.inbox.count(1))[0].packet.properties
  t.say(JSON.stringify({ ...p, correlationData: p.correlationData.toString('hex') }))
})

add('request and response', async t => {
  const [server, client] = [await t.site.client(t.b), await t.site.client(t.a)]
  server.on('message', (topic, payload, p) => {
    server.publish(p.properties.responseTopic, `${payload}!`, { qos: 1, properties: { correlationData: p.properties.correlationData } })
  })
  await server.subscribeAsync(`${t.topic}/ask`, { qos: 1 })
  await client.subscribeAsync(`${t.topic}/answer`, { qos: 1 })
  await client.publishAsync(`${t.topic}/ask`, 'hi', { qos: 1, properties: { responseTopic: `${t.topic}/answer`, correlationData: Buffer.from('7') } })
  const [m] = await client.inbox.count(1)
  t.say(`${m.payload} ${m.packet.properties.correlationData}`)
})

add('a will with properties', async t => {
  const sub = await t.site.client(t.b)
  await sub.subscribeAsync(`${t.topic}/#`, { qos: 1 })
  const c = await t.site.client(t.a, { will: { topic: `${t.topic}/w`, payload: 'gone', qos: 1, retain: false, properties: { contentType: 'text/plain', messageExpiryInterval: 60, userProperties: { why: 'power' } } } })
  t.site.drop(c)
  const p = (await sub.inbox.count(1))[0].packet.properties
  t.must(p.messageExpiryInterval <= 60, 'a longer life')
  t.say(JSON.stringify({ ...p, messageExpiryInterval: p.messageExpiryInterval > 50 }))
})

add('message expiry', async t => {
  const keep = { clean: false, properties: { sessionExpiryInterval: 60 } }
  await t.site.bye(await t.site.client(t.b, { clean: true }))
  let sub = await t.site.client(t.b, keep)
  await sub.subscribeAsync(`${t.topic}/#`, { qos: 1 })
  await t.site.bye(sub)
  const pub = await t.site.client(t.a)
  await pub.publishAsync(`${t.topic}/1`, 'short', { qos: 1, properties: { messageExpiryInterval: 1 } })
  await pub.publishAsync(`${t.topic}/2`, 'long', { qos: 1, properties: { messageExpiryInterval: 60 } })
  await pub.publishAsync(`${t.topic}/r`, 'retained', { qos: 1, retain: true, properties: { messageExpiryInterval: 1 } })
  await sleep(2600)
  sub = await t.site.client(t.b, keep)
  await pub.publishAsync(`${t.topic}/end`, 'end', { qos: 1 })
  await sub.inbox.until(all => all.some(m => m.payload.toString() === 'end'), 'the end')
  const left = sub.inbox.all[0].packet.properties.messageExpiryInterval
  t.must(sub.texts().join() === 'long,end' && left <= 58 && left > 40, `${sub.texts()}, ${left} s left`)
  const late = await t.site.client(t.c)
  await late.subscribeAsync(`${t.topic}/r`, { qos: 1 })
  await sleep(300)
  t.say(`${sub.texts()}; retained ${late.inbox.all.length}`)
  await t.site.bye(sub)
  await t.site.bye(await t.site.client(t.b, { clean: true }))
})

add('shared subscriptions', async t => {
  const [x, y, pub] = [await t.site.client(t.b), await t.site.client(t.c), await t.site.client(t.a)]
  for (const c of [x, y]) await c.subscribeAsync(`$share/group/${t.topic}/+`, { qos: 1 })
  for (let i = 0; i < 20; i++) await pub.publishAsync(`${t.topic}/x`, String(i), { qos: 1 })
  const sum = () => x.inbox.all.length + y.inbox.all.length
  for (let i = 0; i < 60 && sum() < 20; i++) await sleep(50)
  const all = x.texts().concat(y.texts()).map(Number).sort((p, q) => p - q)
  t.must(all.join() === Array.from({ length: 20 }, (_, i) => i).join(), 'not each message once')
  t.say(`${x.inbox.all.length} and ${y.inbox.all.length}`)
  await t.site.bye(x)
  for (let i = 20; i < 30; i++) await pub.publishAsync(`${t.topic}/x`, String(i), { qos: 1 })
  for (let i = 0; i < 60 && sum() < 30; i++) await sleep(50)
  t.must(sum() === 30, `${sum()} of 30`)
  t.say(`one leaves: ${y.inbox.all.length}`)
  await y.unsubscribeAsync(`$share/group/${t.topic}/+`)
})

add('shared subscriptions and retained messages, beside a plain subscription', async t => {
  const [c, pub] = [await t.site.client(t.b), await t.site.client(t.a)]
  await pub.publishAsync(`${t.topic}/r`, 'retained', { qos: 1, retain: true })
  await c.subscribeAsync(`$share/g/${t.topic}/r`, { qos: 1 })
  await sleep(200)
  const shared = c.inbox.all.length
  await c.subscribeAsync(`${t.topic}/r`, { qos: 1 })
  await c.inbox.count(1)
  await pub.publishAsync(`${t.topic}/r`, 'live', { qos: 1 })
  await sleep(300)
  t.say(`shared ${shared}; ${c.texts().join()}`)
  await pub.publishAsync(`${t.topic}/r`, '', { qos: 1, retain: true })
})

add('topic aliases of the client', async t => {
  const sub = await t.site.client(t.b)
  await sub.subscribeAsync(`${t.topic}/#`, { qos: 1 })
  const w = await t.site.wire(t.a)
  const max = w.connack.properties && w.connack.properties.topicAliasMaximum
  const say = (topic, alias, text) => w.send({ cmd: 'publish', topic, payload: text, qos: 0, retain: false, dup: false, properties: { topicAlias: alias } })
  say(`${t.topic}/one`, 1, '1'); say(`${t.topic}/two`, 2, '2'); say('', 1, '3'); say('', 2, '4'); say(`${t.topic}/new`, 1, '5'); say('', 1, '6')
  const all = await sub.inbox.count(6)
  t.say(`${max}: ${all.map(m => `${m.topic}=${m.payload}`).join(' ')}`)
  say('', (max || 0) + 1, 'no such alias')
  await w.closed()
  const bye = w.inbox.all.find(p => p.cmd === 'disconnect')
  t.say(`an alias above the maximum: closed ${bye ? bye.reasonCode : ''}`)
})

add('topic aliases for the client', async t => {
  const pub = await t.site.client(t.a)
  const w = await t.site.wire(t.b, { properties: { topicAliasMaximum: 5 } })
  w.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: `${t.topic}/#`, qos: 1 }] })
  await w.take('suback')
  for (const n of [1, 2, 3]) await pub.publishAsync(`${t.topic}/long/name`, String(n), { qos: 1 })
  for (let n = 0; n < 3; n++) {
    const p = await w.take('publish')
    t.say(`${p.topic} ${p.payload} ${JSON.stringify(p.properties || {})}`)
    w.send({ cmd: 'puback', messageId: p.messageId })
  }
})

add('subscription identifiers', async t => {
  const pub = await t.site.client(t.a)
  const w = await t.site.wire(t.b)
  const sub = (id, topic, n) => w.send({ cmd: 'subscribe', messageId: n, subscriptions: [{ topic, qos: 1 }], properties: { subscriptionIdentifier: id } })
  sub(11, `${t.topic}/+`, 1); sub(2222222, `${t.topic}/x`, 2); sub(7, `${t.topic}/y`, 3)
  for (let i = 0; i < 3; i++) await w.take('suback')
  await pub.publishAsync(`${t.topic}/x`, 'x', { qos: 0 })
  await pub.publishAsync(`${t.topic}/y`, 'y', { qos: 0 })
  await pub.publishAsync(`${t.topic}/z`, 'z', { qos: 0 })
  await w.inbox.until(all => all.some(p => p.cmd === 'publish' && p.payload.toString() === 'z'), 'z')
  const got = w.inbox.all.filter(p => p.cmd === 'publish').map(p => `${p.payload}:${[].concat(p.properties.subscriptionIdentifier).sort()}`)
  t.say(got.join(' '))
})

add('no local', async t => {
  const [sub, pub] = [await t.site.client(t.b), await t.site.client(t.a)]
  await pub.subscribeAsync(t.topic, { qos: 1, nl: true })
  await sub.subscribeAsync(t.topic, { qos: 1, nl: true })
  await pub.publishAsync(t.topic, 'mine', { qos: 1 })
  await sub.publishAsync(t.topic, 'yours', { qos: 1 })
  await pub.inbox.count(1); await sub.inbox.count(1)
  await sleep(150)
  t.must(pub.texts().join() === 'yours' && sub.texts().join() === 'mine', `${pub.texts()} ${sub.texts()}`)
  t.say(`${pub.texts()} ${sub.texts()}`)
})

add('retain as published', async t => {
  const [sub, pub] = [await t.site.client(t.b), await t.site.client(t.a)]
  await sub.subscribeAsync(t.topic, { qos: 1, rap: true })
  await pub.publishAsync(t.topic, 'r', { qos: 1, retain: true })
  await pub.publishAsync(t.topic, 'p', { qos: 1 })
  t.say((await sub.inbox.count(2)).map(m => `${m.payload} retain=${m.packet.retain}`).join('; '))
  await pub.publishAsync(t.topic, '', { qos: 1, retain: true })
})

add('retain handling', async t => {
  const [sub, pub] = [await t.site.client(t.b), await t.site.client(t.a)]
  await pub.publishAsync(t.topic, 'r', { qos: 1, retain: true })
  const seen = []
  for (const rh of [0, 0, 1, 2]) {
    const had = sub.inbox.all.length
    await sub.subscribeAsync(t.topic, { qos: 1, rh })
    await sleep(150)
    seen.push(`${rh}:${sub.inbox.all.length - had}`)
  }
  await sub.unsubscribeAsync(t.topic)
  await sub.subscribeAsync(t.topic, { qos: 1, rh: 1 })
  await sleep(150)
  t.must(seen.join() === '0:1,0:1,1:0,2:0', seen.join())
  t.say(`${seen.join(' ')}, new 1: ${sub.inbox.all.length - 2}`)
  await pub.publishAsync(t.topic, '', { qos: 1, retain: true })
})

add('maximum packet size of the client', async t => {
  const pub = await t.site.client(t.a)
  const sub = await t.site.client(t.b, { properties: { maximumPacketSize: 200 } })
  await sub.subscribeAsync(`${t.topic}/#`, { qos: 1 })
  await pub.publishAsync(`${t.topic}/x`, 'x'.repeat(400), { qos: 1 })
  await pub.publishAsync(`${t.topic}/x`, 'small', { qos: 1 })
  await sub.inbox.count(1)
  t.must(sub.texts().join() === 'small', 'a packet that is too large')
  t.say(`${sub.texts()}, ${sub.connected ? 'open' : 'closed'}`)
})

add('receive maximum', async t => {
  const pub = await t.site.client(t.a)
  const w = await t.site.wire(t.b, { properties: { receiveMaximum: 3 } })
  w.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: t.topic, qos: 1 }] })
  await w.take('suback')
  for (let i = 0; i < 10; i++) await pub.publishAsync(t.topic, String(i), { qos: 1 })
  const got = () => w.inbox.all.filter(p => p.cmd === 'publish')
  await w.inbox.until(() => got().length >= 3, 'three')
  await sleep(300)
  const first = got().length
  for (let i = 0; i < 10; i++) w.send({ cmd: 'puback', messageId: (await w.take('publish')).messageId })
  t.must(first === 3 && got().map(p => p.payload).join() === '0,1,2,3,4,5,6,7,8,9', `${first}: ${got().map(p => p.payload)}`)
  t.say(`${first} at once, ${got().length} in all`)
})

add('reason codes, nobody listens, no such subscription', async t => {
  const c = await t.site.client(t.a)
  const one = await c.publishAsync(`${t.topic}/nobody`, 'x', { qos: 1 })
  const two = await c.publishAsync(`${t.topic}/nobody`, 'x', { qos: 2 })
  t.say(`${one.reasonCode || 0} ${two.reasonCode || 0}`)
})

module.exports = cases
