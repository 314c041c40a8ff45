package main

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Ordinary producers.

func sendCases() []testCase {
	return []testCase{
		{name: "send-auto-topic", run: autoTopic},
		{name: "send-async-oneway", run: asyncAndOneway},
		{name: "send-batch", run: batch},
		{name: "send-large", run: large},
		{name: "send-delayed", run: delayed},
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
