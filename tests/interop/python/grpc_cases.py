"""Unmodified rocketmq-python-client (gRPC) through a stock mqproxy: grpc_cases.py NAMESRV escrow|rocketmq PATTERN ENDPOINT"""
import os
import re
import sys
import threading
import time
import traceback

from kit import Inbox, create_topic, equal, names, until

from rocketmq.v5.client import ClientConfiguration
from rocketmq.v5.client.client_configuration import Credentials
from rocketmq.v5.consumer import SimpleConsumer
from rocketmq.v5.model import FilterExpression, Message
from rocketmq.v5.producer import Producer, TransactionChecker
from rocketmq.grpc_protocol.definition_pb2 import TransactionResolution

INVISIBLE_S = 10


def configuration(kit):
    return ClientConfiguration(kit.endpoint, Credentials(), request_timeout=15)


def message(kit, key, tag='T'):
    one = Message()
    one.topic = kit.topic
    one.body = ('body of ' + key).encode()
    one.tag = tag
    one.keys = key
    return one


def producer(kit, checker=None):
    one = Producer(configuration(kit), (kit.topic,), checker=checker) if checker else Producer(configuration(kit), (kit.topic,))
    one.startup()
    return one


def receiver(kit, inbox, expression='*', keep=lambda m: True):
    one = SimpleConsumer(configuration(kit), kit.group + '_c', {kit.topic: FilterExpression(expression)}, 3)
    one.startup()

    def loop():
        while True:
            try:
                for m in one.receive(16, INVISIBLE_S) or []:
                    inbox.add(list(m.keys)[0], m)
                    if keep(m):
                        one.ack(m)
            except Exception as e:
                print(e, file=sys.stderr)
                time.sleep(0.2)

    threading.Thread(target=loop, daemon=True).start()


def send_receive(kit):
    create_topic(kit, '+message.type=NORMAL')
    inbox = Inbox()
    receiver(kit, inbox)
    sender = producer(kit)
    keys = ['k%d' % i for i in range(10)]
    for key in keys:
        sender.send(message(kit, key))
    inbox.exactly(keys, settle=INVISIBLE_S + 3)
    equal(b'body of k3', inbox.of('k3')[0].body, 'body')


def tags(kit):
    create_topic(kit, '+message.type=NORMAL')
    inbox = Inbox()
    receiver(kit, inbox, 'TagA')
    sender = producer(kit)
    for i in range(6):
        sender.send(message(kit, 'k%d' % i, 'TagB' if i % 2 else 'TagA'))
    inbox.exactly(['k0', 'k2', 'k4'])


def redelivery(kit):
    create_topic(kit, '+message.type=NORMAL')
    inbox = Inbox()
    receiver(kit, inbox, keep=lambda m: len(inbox.of('k')) > 1)
    producer(kit).send(message(kit, 'k'))
    until('the second delivery', lambda: len(inbox.of('k')) >= 2, 90)


class Decides(TransactionChecker):
    def __init__(self):
        self.asked = []

    def check(self, m):
        key = list(m.keys)[0]
        self.asked.append(key)
        return TransactionResolution.COMMIT if key == 'yes' else TransactionResolution.ROLLBACK


def transaction(kit):
    create_topic(kit, '+message.type=TRANSACTION')
    inbox = Inbox()
    receiver(kit, inbox)
    sender = producer(kit, Decides())
    for how in ('commit', 'rollback'):
        one = sender.begin_transaction()
        sender.send(message(kit, how), one)
        getattr(one, how)()
    inbox.exactly(['commit'])


def check_back(kit):
    create_topic(kit, '+message.type=TRANSACTION')
    inbox = Inbox()
    receiver(kit, inbox)
    decides = Decides()
    sender = producer(kit, decides)
    for key in ('yes', 'no'):
        sender.send(message(kit, key), sender.begin_transaction())
    inbox.all(['yes'], 100)
    until('both were asked', lambda: {'yes', 'no'} <= set(decides.asked), 60)
    inbox.exactly(['yes'])


CASES = {'grpc-send-receive': send_receive, 'grpc-tags': tags, 'grpc-redelivery': redelivery,
         'grpc-transaction': transaction, 'grpc-check-back': check_back}
results = []


def run(name):
    kit = names(sys.argv[1], 'grpcpy', name)
    kit.endpoint = sys.argv[4]
    begin = time.time()
    try:
        CASES[name](kit)
        results.append(True)
        print('PASS %s (%.1f s)' % (name, time.time() - begin), flush=True)
    except BaseException as e:
        traceback.print_exc()
        results.append(False)
        print('FAIL %s: %s' % (name, (str(e) or repr(e)).split('\n')[0]), flush=True)


threads = [threading.Thread(target=run, args=(name,)) for name in CASES if re.search(sys.argv[3], name)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print('%d passed, %d failed' % (sum(results), len(results) - sum(results)), flush=True)
os._exit(0 if results and all(results) else 1)  # The client's own threads do not end.
