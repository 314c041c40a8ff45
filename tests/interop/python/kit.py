"""What the Python suites share: names of each case's own, waiting, what was received, one plain frame."""
import json
import os
import re
import socket
import struct
import threading
import time
from types import SimpleNamespace

COME_S = 60
SETTLE_S = 2


def names(namesrv, label, name):
    run = '%x_%x' % (int(time.time()) % 10000000, os.getpid())
    return SimpleNamespace(namesrv=namesrv, topic='T_%s_%s_%s' % (label, name, run),
                           group='G_%s_%s_%s' % (label, name, run), keep=[])


def until(what, condition, seconds=COME_S):
    end = time.time() + seconds
    while not condition():
        if time.time() > end:
            raise AssertionError('%s: not within %d s' % (what, seconds))
        time.sleep(0.05)


def equal(expected, actual, what):
    if expected != actual:
        raise AssertionError('%s: expected %s, got %s' % (what, expected, actual))


def ask(address, code, fields):
    """The code and the body of the answer."""
    host, port = address.split(':')
    header = json.dumps({'code': code, 'extFields': fields, 'flag': 0, 'language': 'OTHER', 'opaque': 1,
                         'version': 409}).encode()
    with socket.create_connection((host, int(port)), 10) as peer:
        peer.sendall(struct.pack('>ii', 4 + len(header), len(header)) + header)
        stream = peer.makefile('rb')
        length, header_length = struct.unpack('>ii', stream.read(8))
        rest = stream.read(length - 4)
        header_length &= 0xffffff
        return json.loads(rest[:header_length])['code'], rest[header_length:].decode()


def create_topic(kit, attributes=None):
    broker = re.search(r'"brokerAddrs":\{"?0"?:"([^"]+)"', ask(kit.namesrv, 106, {})[1]).group(1)
    fields = dict(topic=kit.topic, defaultTopic='TBW102', readQueueNums='4', writeQueueNums='4', perm='6',
                  topicFilterType='SINGLE_TAG', topicSysFlag='0', order='false')
    if attributes:
        fields['attributes'] = attributes
    equal(0, ask(broker, 17, fields)[0], 'code for making a topic')
    until('route of ' + kit.topic, lambda: ask(kit.namesrv, 105, {'topic': kit.topic})[0] == 0, 10)


class Inbox:
    """What consumers received, by message key."""

    def __init__(self):
        self.lock = threading.Lock()
        self.received = {}

    def add(self, key, message):
        with self.lock:
            self.received.setdefault(key, []).append(message)

    def of(self, key):
        with self.lock:
            return list(self.received.get(key, []))

    def all(self, keys, seconds=COME_S):
        def missing():
            with self.lock:
                return [key for key in keys if key not in self.received]
        try:
            until('all messages', lambda: not missing(), seconds)
        except AssertionError:
            left = missing()
            raise AssertionError('%d of %d did not come within %d s, such as %s' % (len(left), len(keys), seconds, left[0]))

    def exactly(self, keys, seconds=COME_S, settle=SETTLE_S):
        """These keys, each once; then waits for what must not come."""
        self.all(keys, seconds)
        time.sleep(settle)
        with self.lock:
            for key, messages in self.received.items():
                if key not in keys:
                    raise AssertionError(key + ' must not have been delivered')
                equal(1, len(messages), 'deliveries of ' + key)
