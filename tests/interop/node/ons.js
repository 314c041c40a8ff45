'use strict';
// Unmodified ali-ons against the brokers of one name server: node ons.js NAMESRV escrow|rocketmq [PATTERN]

const { Consumer, Producer, Message } = require('ali-ons');
const { until, createTopic, Inbox, equal, run, COME_MS } = require('./kit');

const silent = { debug() {}, info() {}, warn() {}, error(e) { console.error(e); } };
// The client's timers are its own; only what waits long for nothing is shortened, as its options allow.
const httpclient = { request() { throw new Error('the name server is given: nothing is to be asked over HTTP'); } };
const common = kit => ({ nameSrv: kit.namesrv, httpclient, logger: silent, instanceName: `${kit.group}_${Math.random()}`,
  pollNameServerInteval: 3000, rebalanceInterval: 2000, persistConsumerOffsetInterval: 1000 });

async function producer(kit) {
  const one = new Producer({ ...common(kit), producerGroup: `${kit.group}_p` });
  one.on('error', e => console.error(e));
  await one.ready();
  kit.onClose(() => one.close());
  return one;
}

function message(kit, key, tag = 'T') {
  const one = new Message(kit.topic, tag, `body of ${key}`);
  one.keys = [ key ];
  one.properties.colour = 'grün';
  return one;
}

async function sendAll(kit, from, prefix, count) {
  const keys = [];
  for (let i = 0; i < count; i++) {
    keys.push(prefix + i);
    const result = await from.send(message(kit, prefix + i));
    equal('SEND_OK', result.sendStatus, `status of ${prefix}${i}`);
  }
  return keys;
}

async function consumer(kit, inbox, expression = '*', options = {}, handle = async () => undefined) {
  const one = new Consumer({ ...common(kit), consumerGroup: `${kit.group}_c`,
    consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET', ...options });
  one.on('error', e => console.error(e));
  one.subscribe(kit.topic, expression, async m => {
    inbox.add(m.keys, m);
    return handle(m);
  });
  await one.ready();
  kit.onClose(() => one.close());
  return one;
}

const cases = {
  async 'send-receive'(kit) {
    await createTopic(kit.namesrv, kit.topic);
    const inbox = new Inbox();
    await consumer(kit, inbox);
    const keys = await sendAll(kit, await producer(kit), 'k', 20);
    await inbox.exactly(keys);
    const one = inbox.of('k3')[0];
    equal('body of k3', one.body.toString(), 'body');
    equal('T', one.tags, 'tag');
    equal('grün', one.properties.colour, 'property');
    equal(kit.topic, one.topic, 'topic');
  },

  async 'send-large'(kit) { // Compressed by the client.
    await createTopic(kit.namesrv, kit.topic);
    const inbox = new Inbox();
    await consumer(kit, inbox);
    const big = new Message(kit.topic, 'T', 'x'.repeat(200000));
    big.keys = [ 'big' ];
    await (await producer(kit)).send(big);
    await inbox.exactly([ 'big' ]);
    equal('x'.repeat(200000), inbox.of('big')[0].body.toString(), 'body');
  },

  async 'send-delayed'(kit) {
    await createTopic(kit.namesrv, kit.topic);
    const inbox = new Inbox();
    await consumer(kit, inbox);
    const late = message(kit, 'late');
    late.delayTimeLevel = 2;
    const sent = Date.now();
    await (await producer(kit)).send(late);
    await inbox.exactly([ 'late' ]);
    const after = inbox.of('late')[0].storeTimestamp - sent;
    if (after < 4900) throw new Error(`visible after ${after} ms`);
  },

  async 'consume-tags'(kit) {
    await createTopic(kit.namesrv, kit.topic);
    const inbox = new Inbox();
    await consumer(kit, inbox, 'TagA || TagB');
    const from = await producer(kit);
    const wanted = [];
    for (let i = 0; i < 20; i++) {
      if (i % 4 < 2) wanted.push(`k${i}`);
      await from.send(message(kit, `k${i}`, [ 'TagA', 'TagB', 'TagC', 'TagD' ][i % 4]));
    }
    await inbox.exactly(wanted);
  },

  async 'consume-sql'(kit) {
    await createTopic(kit.namesrv, kit.topic);
    const inbox = new Inbox();
    await consumer(kit, inbox, { expressionType: 'SQL92', subString: 'amount > 5 AND amount IS NOT NULL' });
    const from = await producer(kit);
    const wanted = [];
    for (let i = 0; i < 12; i++) {
      const one = message(kit, `k${i}`);
      one.properties.amount = `${i}`;
      if (i > 5) wanted.push(`k${i}`);
      await from.send(one);
    }
    await inbox.exactly(wanted);
  },

  async 'consume-retry'(kit) {
    await createTopic(kit.namesrv, kit.topic);
    const inbox = new Inbox();
    await consumer(kit, inbox, '*', {}, async m => {
      if (m.reconsumeTimes === 0) throw new Error('on purpose');
    });
    await sendAll(kit, await producer(kit), 'k', 2);
    await until('each twice', () => inbox.of('k0').length >= 2 && inbox.of('k1').length >= 2, 2 * COME_MS);
    equal(1, inbox.of('k0')[1].reconsumeTimes, 'reconsumeTimes');
    equal('body of k0', inbox.of('k0')[1].body.toString(), 'body');
  },

  async 'consume-broadcast'(kit) {
    await createTopic(kit.namesrv, kit.topic);
    const one = new Inbox();
    const two = new Inbox();
    const home = require('fs').mkdtempSync(require('path').join(require('os').tmpdir(), 'ons-'));
    kit.onClose(() => require('fs').rmSync(home, { recursive: true, force: true }));
    for (const [ name, inbox ] of [ [ 'one', one ], [ 'two', two ] ]) {
      await consumer(kit, inbox, '*', { isBroadcast: true, localOffsetStoreDir: `${home}/${name}`, instanceName: `${kit.group}${name}` });
    }
    const keys = await sendAll(kit, await producer(kit), 'k', 8);
    await one.exactly(keys);
    await two.exactly(keys);
  },

  async 'consume-restart'(kit) {
    await createTopic(kit.namesrv, kit.topic);
    const from = await producer(kit);
    const before = new Inbox();
    const first = await consumer(kit, before);
    await before.exactly(await sendAll(kit, from, 'k', 8)); // It has stored its offsets within that time.
    await first.close();
    const keys = await sendAll(kit, from, 'l', 4);
    const after = new Inbox();
    await consumer(kit, after);
    await after.exactly(keys);
  },

  async 'consume-shared'(kit) {
    await createTopic(kit.namesrv, kit.topic);
    const one = new Inbox();
    const two = new Inbox();
    await consumer(kit, one);
    await consumer(kit, two);
    const from = await producer(kit);
    let sent = 0;
    await until('both get some', async () => {
      await sendAll(kit, from, `s${sent++}-`, 4);
      return one.received.size > 0 && two.received.size > 0;
    });
    await until('all', () => one.received.size + two.received.size >= sent * 4);
  },
};

run('ons', cases, { namesrv: process.argv[2] }, process.argv[4]);
