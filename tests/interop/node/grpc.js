'use strict';
// Unmodified rocketmq-client-nodejs (gRPC) through a stock mqproxy: node grpc.js NAMESRV escrow|rocketmq PATTERN ENDPOINT

const { Producer, SimpleConsumer } = require('rocketmq-client-nodejs');
const { TransactionResolution } = require('rocketmq-client-nodejs/proto/apache/rocketmq/v2/definition_pb');
const { until, createTopic, Inbox, equal, run, sleep } = require('./kit');

const silent = { debug() {}, info() {}, warn() {}, error(...e) { console.error(...e); } };
const INVISIBLE_MS = 10000; // The proxy takes no less.

async function producer(kit, options = {}) {
  const one = new Producer({ endpoints: kit.endpoint, namespace: '', logger: silent, topics: [ kit.topic ], requestTimeout: 15000, ...options });
  await one.startup();
  kit.onClose(() => one.shutdown());
  return one;
}

const message = (kit, key, more = {}) => ({ topic: kit.topic, tag: 'T', keys: [ key ], body: Buffer.from(`body of ${key}`), ...more });

// Receives until the case is over; what `keep` says yes to is acknowledged.
async function receiver(kit, inbox, keep = () => true, expression = '*') {
  const one = new SimpleConsumer({ endpoints: kit.endpoint, namespace: '', logger: silent, consumerGroup: `${kit.group}_c`,
    subscriptions: new Map([ [ kit.topic, expression ] ]), awaitDuration: 3000, requestTimeout: 15000 });
  await one.startup();
  let on = true;
  const loop = (async () => {
    while (on) {
      try {
        for (const m of await one.receive(16, INVISIBLE_MS)) {
          inbox.add(m.keys[0], m);
          if (keep(m)) await one.ack(m);
        }
      } catch (e) {
        console.error(String(e));
        await sleep(200);
      }
    }
  })();
  kit.onClose(async () => {
    on = false;
    await loop;
    await one.shutdown();
  });
}

async function topic(kit, type) {
  await createTopic(kit.namesrv, kit.topic, `+message.type=${type}`);
}

const cases = {
  async 'grpc-send-receive'(kit) {
    await topic(kit, 'NORMAL');
    const inbox = new Inbox();
    await receiver(kit, inbox);
    const from = await producer(kit);
    const keys = [];
    for (let i = 0; i < 10; i++) {
      keys.push(`k${i}`);
      await from.send(message(kit, `k${i}`, { properties: new Map([ [ 'colour', 'grün' ] ]) }));
    }
    await inbox.exactly(keys, undefined, INVISIBLE_MS + 3000); // Longer than they are invisible: acknowledged ones stay away.
    const one = inbox.of('k3')[0];
    equal('body of k3', one.body.toString(), 'body');
    equal('T', one.tag, 'tag');
    equal('grün', one.properties.get('colour'), 'property');
  },

  async 'grpc-redelivery'(kit) { // What is not acknowledged comes again.
    await topic(kit, 'NORMAL');
    const inbox = new Inbox();
    await receiver(kit, inbox, m => inbox.of(m.keys[0]).length > 1);
    await (await producer(kit)).send(message(kit, 'k'));
    await until('the second delivery', () => inbox.of('k').length >= 2, 90000);
    equal('body of k', inbox.of('k')[1].body.toString(), 'body');
  },

  async 'grpc-tags'(kit) {
    await topic(kit, 'NORMAL');
    const inbox = new Inbox();
    await receiver(kit, inbox, () => true, 'TagA');
    const from = await producer(kit);
    for (let i = 0; i < 6; i++) await from.send(message(kit, `k${i}`, { tag: i % 2 ? 'TagB' : 'TagA' }));
    await inbox.exactly([ 'k0', 'k2', 'k4' ]);
  },

  async 'grpc-delay'(kit) {
    await topic(kit, 'DELAY');
    const inbox = new Inbox();
    await receiver(kit, inbox);
    const begin = Date.now();
    await (await producer(kit)).send(message(kit, 'k', { delay: 4000 }));
    await inbox.exactly([ 'k' ]);
    if (Date.now() - begin < 3500) throw new Error('too early');
  },

  async 'grpc-transaction'(kit) {
    await topic(kit, 'TRANSACTION');
    const inbox = new Inbox();
    await receiver(kit, inbox);
    const from = await producer(kit, { checker: { async check() { return TransactionResolution.TRANSACTION_RESOLUTION_UNSPECIFIED; } } });
    for (const how of [ 'commit', 'rollback' ]) {
      const transaction = from.beginTransaction();
      await from.send(message(kit, how), transaction);
      await transaction[how]();
    }
    await inbox.exactly([ 'commit' ]);
  },

  async 'grpc-check-back'(kit) { // The producer leaves it open; the broker's question decides.
    await topic(kit, 'TRANSACTION');
    const inbox = new Inbox();
    await receiver(kit, inbox);
    const asked = [];
    const from = await producer(kit, { checker: { async check(m) {
      asked.push(m.keys[0]);
      return m.keys[0] === 'yes' ? TransactionResolution.COMMIT : TransactionResolution.ROLLBACK;
    } } });
    for (const key of [ 'yes', 'no' ]) await from.send(message(kit, key), from.beginTransaction());
    await inbox.all([ 'yes' ], 100000);
    await until('both were asked', () => asked.includes('yes') && asked.includes('no'), 60000);
    await inbox.exactly([ 'yes' ]);
  },
};

run('grpc', cases, { namesrv: process.argv[2], endpoint: process.argv[5] }, process.argv[4]);
