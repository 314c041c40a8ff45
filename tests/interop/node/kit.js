'use strict';
// What both Node suites share: names of each case's own, waiting, what was received, and running the cases.

const net = require('net');

const RUN = (Math.floor(Date.now() / 1000) % 1000000).toString(36) + process.pid.toString(36);
const COME_MS = 60000;
const SETTLE_MS = 2000;
const CASE_MS_MAX = 150000;

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

async function until(what, condition, ms = COME_MS) {
  const end = Date.now() + ms;
  while (!await condition()) {
    if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms`);
    await sleep(50);
  }
}

// One plain frame to a name server or broker; resolves to { code, remark, body }.
function ask(address, code, fields) {
  return new Promise((resolve, reject) => {
    const [ host, port ] = address.split(':');
    const socket = net.connect(Number(port), host);
    let got = Buffer.alloc(0);
    socket.setTimeout(10000, () => socket.destroy(new Error(`no answer to ${code} from ${address}`)));
    socket.on('error', reject);
    socket.on('connect', () => {
      const header = Buffer.from(JSON.stringify({ code, extFields: fields, flag: 0, language: 'OTHER', opaque: 1, version: 409 }));
      const frame = Buffer.alloc(8 + header.length);
      frame.writeInt32BE(4 + header.length, 0);
      frame.writeInt32BE(header.length, 4);
      header.copy(frame, 8);
      socket.write(frame);
    });
    socket.on('data', data => {
      got = Buffer.concat([ got, data ]);
      if (got.length < 8 || got.length < 4 + got.readInt32BE(0)) return;
      const headerLength = got.readInt32BE(4) & 0xffffff;
      const answer = JSON.parse(got.subarray(8, 8 + headerLength));
      resolve({ code: answer.code, remark: answer.remark, body: got.subarray(8 + headerLength, 4 + got.readInt32BE(0)).toString() });
      socket.end();
    });
  });
}

async function brokerAddress(namesrv) {
  const { body } = await ask(namesrv, 106, {});
  const found = /"brokerAddrs":\{"?0"?:"([^"]+)"/.exec(body);
  if (!found) throw new Error(`no broker in ${body}`);
  return found[1];
}

async function createTopic(namesrv, topic, attributes) {
  const fields = { topic, defaultTopic: 'TBW102', readQueueNums: '4', writeQueueNums: '4', perm: '6',
    topicFilterType: 'SINGLE_TAG', topicSysFlag: '0', order: 'false' };
  if (attributes) fields.attributes = attributes;
  const { code, remark } = await ask(await brokerAddress(namesrv), 17, fields);
  if (code !== 0) throw new Error(`topic ${topic}: ${code} ${remark}`);
  await until(`route of ${topic}`, async () => (await ask(namesrv, 105, { topic })).code === 0, 10000);
}

class Inbox {
  constructor() {
    this.received = new Map();
  }

  add(key, message) {
    if (!this.received.has(key)) this.received.set(key, []);
    this.received.get(key).push(message);
  }

  of(key) {
    return this.received.get(key) || [];
  }

  async all(keys, ms = COME_MS) {
    const missing = () => keys.filter(key => !this.received.has(key));
    try {
      await until('all messages', () => missing().length === 0, ms);
    } catch (e) {
      throw new Error(`${missing().length} of ${keys.length} did not come within ${ms} ms, such as ${missing()[0]}`);
    }
  }

  // Exactly these keys, each once; then waits for what must not come.
  async exactly(keys, ms = COME_MS, settle = SETTLE_MS) {
    await this.all(keys, ms);
    await sleep(settle);
    for (const [ key, messages ] of this.received) {
      if (!keys.includes(key)) throw new Error(`${key} must not have been delivered`);
      if (messages.length !== 1) throw new Error(`${key} was delivered ${messages.length} times`);
    }
  }
}

function equal(expected, actual, what) {
  if (expected !== actual) throw new Error(`${what}: expected ${expected}, got ${actual}`);
}

// cases: { name: async kit => {} }; all at once, since they mostly wait. Prints PASS and FAIL lines and the totals.
async function run(label, cases, context, pattern) {
  let passed = 0;
  let failed = 0;
  await Promise.all(Object.entries(cases).filter(([ name ]) => new RegExp(pattern || '').test(name)).map(async ([ name, body ]) => {
    const begin = Date.now();
    const closers = [];
    const kit = { ...context, topic: `T_${label}_${name}_${RUN}`, group: `G_${label}_${name}_${RUN}`, onClose: f => closers.push(f) };
    try {
      await Promise.race([ body(kit), sleep(CASE_MS_MAX).then(() => { throw new Error('takes too long'); }) ]);
      passed++;
      console.log(`PASS ${name} (${((Date.now() - begin) / 1000).toFixed(1)} s)`);
    } catch (e) {
      failed++;
      console.log(`FAIL ${name}: ${String(e.message || e).split('\n')[0]}`);
      console.error(e);
    }
    for (const close of closers.reverse()) {
      await Promise.race([ Promise.resolve().then(close).catch(e => console.error(e)), sleep(5000) ]);
    }
  }));
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

module.exports = { sleep, until, ask, createTopic, Inbox, equal, run, COME_MS };
