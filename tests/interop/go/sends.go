package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// Ordinary producers.

func sendCases() []testCase {
	return []testCase{
		{name: "send-auto-topic", run: autoTopic},
		{name: "send-async-oneway", run: asyncAndOneway},
		{name: "send-batch", run: batch},
		{name: "send-large", run: large},
		{name: "send-delayed", run: delayed},
		{name: "send-delay-levels", run: delayLevels},
		{name: "send-selectors", run: selectors},
		{name: "send-big", run: big},
		{name: "send-batch-async", run: batchAsync},
	}
}

// autoTopic: a topic that nobody has created.
func autoTopic(k *kit) error {
	p, err := k.producer()
	if err != nil {
		return err
	}
	result, err := p.SendSync(context.Background(), k.message("k", "T"))
	if err != nil {
		return err
	}
	if result.Status != primitive.SendOK {
		return fmt.Errorf("status %v", result.Status)
	}
	if err = k.awaitRoute(k.topic, 10*time.Second); err != nil {
		return err
	}
	in := newInbox()
	if _, err = k.subscribe(k.group+"_c", k.topic, "*", in, succeed); err != nil {
		return err
	}
	if err = in.expectExactly(map[string]bool{"k": true}, come, settle); err != nil {
		return err
	}
	if got := in.of("k")[0].QueueOffset; got != result.QueueOffset {
		return fmt.Errorf("queue offset %d, sent at %d", got, result.QueueOffset)
	}
	return nil
}

func asyncAndOneway(k *kit) error {
	in, err := k.listen()
	if err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	var bad int32
	keys := map[string]bool{}
	for i := 0; i < 50; i++ {
		a, o := fmt.Sprintf("a%d", i), fmt.Sprintf("o%d", i)
		keys[a], keys[o] = true, true
		err = p.SendAsync(context.Background(), func(_ context.Context, _ *primitive.SendResult, err error) {
			if err != nil {
				atomic.AddInt32(&bad, 1)
			}
		}, k.message(a, "T"))
		if err != nil {
			return err
		}
		if err = p.SendOneWay(context.Background(), k.message(o, "T")); err != nil {
			return err
		}
	}
	if err = in.expectExactly(keys, come, settle); err != nil {
		return err
	}
	if n := atomic.LoadInt32(&bad); n != 0 {
		return fmt.Errorf("%d asynchronous sends failed", n)
	}
	return nil
}

func batch(k *kit) error {
	in, err := k.listen()
	if err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	keys := map[string]bool{}
	var messages []*primitive.Message
	for i := 0; i < 10; i++ {
		key := fmt.Sprintf("b%d", i)
		keys[key] = true
		messages = append(messages, k.message(key, "T"))
	}
	if _, err = p.SendSync(context.Background(), messages...); err != nil {
		return err
	}
	if err = in.expectExactly(keys, come, settle); err != nil {
		return err
	}
	for key := range keys {
		if body := string(in.of(key)[0].Body); body != "body of "+key {
			return fmt.Errorf("%s came with %q", key, body)
		}
	}
	return nil
}

// large: the client compresses what is over 4 KiB; the broker must leave it as it is.
func large(k *kit) error {
	in, err := k.listen()
	if err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	message := k.message("even", "T")
	message.Body = bytes.Repeat([]byte("x"), 200000)
	if _, err = p.SendSync(context.Background(), message); err != nil {
		return err
	}
	if err = in.expectExactly(map[string]bool{"even": true}, come, settle); err != nil {
		return err
	}
	if !bytes.Equal(in.of("even")[0].Body, bytes.Repeat([]byte("x"), 200000)) {
		return fmt.Errorf("the compressed body is not as it was sent: %d bytes", len(in.of("even")[0].Body))
	}
	return nil
}

func delayed(k *kit) error {
	in, err := k.listen()
	if err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	message := k.message("d1", "T")
	message.WithDelayTimeLevel(1)
	sent := time.Now()
	if _, err = p.SendSync(context.Background(), message); err != nil {
		return err
	}
	if err = in.expectExactly(map[string]bool{"d1": true}, come, settle); err != nil {
		return err
	}
	if after := in.of("d1")[0].StoreTimestamp - sent.UnixNano()/1e6; after < 950 {
		return fmt.Errorf("level 1 became visible after %d ms", after)
	}
	return nil
}

// delayLevels: each level's own time, and so another order than that of sending.
func delayLevels(k *kit) error {
	in, err := k.listen()
	if err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	seconds := map[int]int64{1: 1, 2: 5, 3: 10}
	keys := map[string]bool{"now": true}
	sent := time.Now().UnixNano() / 1e6
	for level := 3; level >= 0; level-- {
		message := k.message("now", "T")
		if level > 0 {
			message = k.message(fmt.Sprintf("level%d", level), "T")
			message.WithDelayTimeLevel(level)
			keys[fmt.Sprintf("level%d", level)] = true
		}
		if _, err = p.SendSync(context.Background(), message); err != nil {
			return err
		}
	}
	if err = in.expectExactly(keys, 2*come, settle); err != nil {
		return err
	}
	for level, wait := range seconds {
		message := in.of(fmt.Sprintf("level%d", level))[0]
		if after := message.StoreTimestamp - sent; after < wait*1000-50 || after > wait*1000+8000 {
			return fmt.Errorf("level %d became visible after %d ms", level, after)
		}
		if message.Topic != k.topic || string(message.Body) != fmt.Sprintf("body of level%d", level) {
			return fmt.Errorf("level %d came as %v", level, message)
		}
	}
	return nil
}

// selectors: a named queue, one that follows from a key, and all of them in turn.
func selectors(k *kit) error {
	in, err := k.listen()
	if err != nil {
		return err
	}
	if _, err = k.sendTo(3, 5, sameTag); err != nil {
		return err
	}
	hashing, err := k.streamer()
	if err != nil {
		return err
	}
	turning, err := k.producer(producer.WithQueueSelector(producer.NewRoundRobinQueueSelector()))
	if err != nil {
		return err
	}
	keys := setOf("k0 k1 k2 k3 k4")
	used := map[int]bool{}
	for i := 0; i < 4; i++ {
		if err = hashing.round(); err != nil {
			return err
		}
		for stream := 0; stream < streams; stream++ {
			keys[fmt.Sprintf("%d-%d", stream, i)] = true
		}
		result, err := turning.SendSync(context.Background(), k.message(fmt.Sprintf("t%d", i), "T"))
		if err != nil {
			return err
		}
		keys[fmt.Sprintf("t%d", i)] = true
		used[result.MessageQueue.QueueId] = true
	}
	if len(used) != 4 {
		return fmt.Errorf("four messages in turn went to %d of four queues", len(used))
	}
	if err = in.expectExactly(keys, come, settle); err != nil {
		return err
	}
	for i := 0; i < 5; i++ {
		if m := in.of(fmt.Sprintf("k%d", i))[0]; m.Queue.QueueId != 3 || m.QueueOffset < int64(i) {
			return fmt.Errorf("k%d came from queue %d, offset %d", i, m.Queue.QueueId, m.QueueOffset)
		}
	}
	return nil
}

// big: what cannot be compressed comes whole up to the broker's limit; what is over it is refused, and nothing else is.
func big(k *kit) error {
	in, err := k.listen()
	if err != nil {
		return err
	}
	p, err := k.producer(producer.WithCompressMsgBodyOverHowmuch(1<<30), producer.WithRetry(0))
	if err != nil {
		return err
	}
	noise := rand.New(rand.NewSource(1))
	bodies := map[string][]byte{}
	keys := map[string]bool{}
	for key, size := range map[string]int{"small": 1, "middle": 100000, "large": 4000000} {
		bodies[key] = make([]byte, size)
		keys[key] = true
		noise.Read(bodies[key])
		message := k.message(key, "T")
		message.Body = bodies[key]
		if _, err = p.SendSync(context.Background(), message); err != nil {
			return fmt.Errorf("%d bytes: %w", size, err)
		}
	}
	message := k.message("over", "T")
	message.Body = make([]byte, 5000000)
	if _, err = p.SendSync(context.Background(), message); err == nil || !strings.Contains(err.Error(), "CODE: 13") {
		return fmt.Errorf("5,000,000 bytes: %v, expected code 13", err)
	}
	if err = in.expectExactly(keys, come, settle); err != nil {
		return err
	}
	for key, body := range bodies {
		if !bytes.Equal(in.of(key)[0].Body, body) {
			return fmt.Errorf("the %s body is not as it was sent: %d bytes", key, len(in.of(key)[0].Body))
		}
	}
	return nil
}

// batchAsync: batches that are sent asynchronously and one-way; each batch is in one queue, in its order.
func batchAsync(k *kit) error {
	in, err := k.listen()
	if err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	keys := map[string]bool{}
	answers := make(chan error, 4)
	for b := 0; b < 5; b++ {
		var messages []*primitive.Message
		for i := 0; i < 8; i++ {
			key := fmt.Sprintf("b%d-%d", b, i)
			keys[key] = true
			messages = append(messages, k.message(key, "T"))
		}
		if b == 4 {
			err = p.SendOneWay(context.Background(), messages...)
		} else {
			err = p.SendAsync(context.Background(), func(_ context.Context, _ *primitive.SendResult, err error) {
				answers <- err
			}, messages...)
		}
		if err != nil {
			return err
		}
	}
	for b := 0; b < 4; b++ {
		if err = <-answers; err != nil {
			return err
		}
	}
	if err = in.expectExactly(keys, come, settle); err != nil {
		return err
	}
	for b := 0; b < 5; b++ {
		first := in.of(fmt.Sprintf("b%d-0", b))[0]
		for i := 0; i < 8; i++ {
			m := in.of(fmt.Sprintf("b%d-%d", b, i))[0]
			if m.Queue.QueueId != first.Queue.QueueId || m.QueueOffset != first.QueueOffset+int64(i) {
				return fmt.Errorf("message %d of batch %d is in queue %d at %d, the first one in %d at %d", i, b,
					m.Queue.QueueId, m.QueueOffset, first.Queue.QueueId, first.QueueOffset)
			}
		}
	}
	return nil
}
