"""Unmodified rocketmq 0.4.4, whose wheel bundles the C++ client: cpp.py NAMESRV escrow|rocketmq [PATTERN]

Each case is a process of its own: the client's threads outlive a shutdown, and its worst failure ends the process.
"""
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from kit import COME_S, SETTLE_S, Inbox, create_topic, names, until, equal

from rocketmq.client import Message, Producer, PullConsumer, PushConsumer
from rocketmq.ffi import MessageModel

AT_ONCE = 4
CASE_S_MAX = 150


def producer(kit):
    one = Producer(kit.group + '_p', timeout=10000)
    one.set_namesrv_addr(kit.namesrv)
    one.start()
    kit.keep.append(one)
    return one


def message(kit, key, tag='T'):
    one = Message(kit.topic)
    one.set_keys(key)
    one.set_tags(tag)
    one.set_body('body of ' + key)
    one.set_property('colour', 'green')
    return one


def send_all(kit, prefix, count):
    sender = producer(kit)
    keys = []
    for i in range(count):
        keys.append(prefix + str(i))
        equal(0, int(sender.send_sync(message(kit, keys[-1])).status), 'status')
    return keys


def consumer(kit, handle, expression='*', **options):
    one = PushConsumer(kit.group + '_c', **options)
    one.set_namesrv_addr(kit.namesrv)
    one.set_thread_count(2)
    one.subscribe(kit.topic, handle, expression=expression)
    one.start()
    kit.keep.append(one)
    return one


def into(inbox):
    return lambda m: inbox.add(m.keys.decode(), (m.body.decode(), m.tags.decode(), m.reconsume_times, m.queue_id))


def send_receive(kit):
    create_topic(kit)
    inbox = Inbox()
    keys = send_all(kit, 'k', 10)
    consumer(kit, into(inbox))
    keys += send_all_with(kit.keep[0], kit, 'l', 5)
    inbox.exactly(keys)
    equal(('body of k3', 'T'), inbox.of('k3')[0][:2], 'body and tag')


def send_all_with(sender, kit, prefix, count):
    keys = [prefix + str(i) for i in range(count)]
    for key in keys:
        sender.send_sync(message(kit, key))
    return keys


def send_kinds(kit):
    """One-way and asynchronous. What its batches carry is not delivered by a stock broker either."""
    create_topic(kit)
    sender = producer(kit)
    sender.send_oneway(message(kit, 'oneway'))
    answered = threading.Event()
    failed = []
    sender.send_async(message(kit, 'async'), lambda result: answered.set(), lambda e: (failed.append(e), answered.set()))
    if not answered.wait(COME_S) or failed:
        raise AssertionError('the asynchronous send: %s' % failed)
    inbox = Inbox()
    consumer(kit, into(inbox))
    inbox.exactly(['oneway', 'async'])


def orderly(kit):
    create_topic(kit)
    sender = producer(kit)
    keys = []
    for i in range(10):
        for stream in range(3):
            keys.append('%d-%d' % (stream, i))
            sender.send_orderly(message(kit, keys[-1]), stream)
    seen = {}
    lock = threading.Lock()
    inbox = Inbox()

    def handle(m):
        stream, number = m.keys.decode().split('-')
        with lock:
            seen.setdefault(stream, []).append(int(number))
        inbox.add(m.keys.decode(), m.queue_id)

    consumer(kit, handle, orderly=True)
    inbox.exactly(keys)
    for stream, numbers in seen.items():
        equal(list(range(10)), numbers, 'order of stream ' + stream)
        equal(1, len({inbox.of('%s-%d' % (stream, i))[0] for i in range(10)}), 'queues of stream ' + stream)


def tags(kit):
    create_topic(kit)
    sender = producer(kit)
    wanted = []
    for i in range(20):
        if i % 4 < 2:
            wanted.append('k%d' % i)
        sender.send_sync(message(kit, 'k%d' % i, 'Tag' + 'ABCD'[i % 4]))
    inbox = Inbox()
    consumer(kit, into(inbox), 'TagA || TagB')
    inbox.exactly(wanted)


def delayed(kit):
    create_topic(kit)
    inbox = Inbox()
    sender = producer(kit)
    sender.send_sync(message(kit, 'first'))
    times = {}
    consumer(kit, lambda m: (times.__setitem__(m.keys.decode(), m.store_timestamp), into(inbox)(m)))
    inbox.all(['first'])
    late = message(kit, 'late')
    late.set_delay_time_level(2)
    begin = time.time() * 1000
    sender.send_sync(late)
    inbox.exactly(['first', 'late'])
    if times['late'] - begin < 4900:
        raise AssertionError('visible after %d ms' % (times['late'] - begin))


def broadcast(kit):
    create_topic(kit)
    inbox = Inbox()
    started = Inbox()
    consumer(kit, lambda m: (into(inbox)(m), started.add('any', 1)), message_model=MessageModel.BROADCASTING)
    sender = producer(kit)
    sent = []

    def more():  # A broadcast consumer starts at the end of each queue.
        sent.append('w%d' % len(sent))
        sender.send_sync(message(kit, sent[-1]))
        return started.of('any')

    until('the consumer has started', more)
    inbox.all(send_all_with(sender, kit, 'k', 8))


def pull(kit):
    create_topic(kit)
    keys = send_all(kit, 'k', 12)
    one = PullConsumer(kit.group + '_pull')
    one.set_namesrv_addr(kit.namesrv)
    one.start()
    kit.keep.append(one)
    got = sorted(m.keys.decode() for m in one.pull(kit.topic))
    equal(sorted(keys), got, 'pulled')


CASES = {
    'send-receive': send_receive, 'send-kinds': send_kinds, 'send-delayed': delayed, 'orderly': orderly,
    'consume-tags': tags, 'consume-broadcast': broadcast, 'pull': pull,
}


def run_one(namesrv, name):
    kit = names(namesrv, 'cpp', name)
    status = 0
    try:
        CASES[name](kit)
    except BaseException as e:
        print(repr(e), file=sys.stderr, flush=True)
        print('WHY %s' % str(e).split('\n')[0], flush=True)
        status = 1
    os._exit(status)  # Its own end may hang in the library.


def child(namesrv, name):
    begin = time.time()
    try:
        done = subprocess.run([sys.executable, __file__, '--one', namesrv, name], stdout=subprocess.PIPE,
                              timeout=CASE_S_MAX, text=True)
    except subprocess.TimeoutExpired:
        print('FAIL %s: not through after %d s' % (name, CASE_S_MAX), flush=True)
        return False
    why = [line[4:] for line in done.stdout.splitlines() if line.startswith('WHY ')]
    if done.returncode == 0:
        print('PASS %s (%.1f s)' % (name, time.time() - begin), flush=True)
    else:
        print('FAIL %s: %s' % (name, why[0] if why else 'ended with status %d' % done.returncode), flush=True)
    return done.returncode == 0


if __name__ == '__main__':
    if sys.argv[1] == '--one':
        run_one(sys.argv[2], sys.argv[3])
    import re
    chosen = [name for name in CASES if re.search(sys.argv[3] if len(sys.argv) > 3 else '', name)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(lambda name: child(sys.argv[1], name), chosen))
    print('%d passed, %d failed' % (sum(results), len(results) - sum(results)))
    sys.exit(0 if results and all(results) else 1)
