package main

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Request and reply, and messages that name the time of their delivery.

func replyCases() []testCase {
	return []testCase{
		{name: "reply-comes-back", run: replied},
		{name: "timer-times", run: timed},
	}
}

func replied(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	asker, err := k.producer()
	if err != nil {
		return err
	}
	replier, err := k.producer()
	if err != nil {
		return err
	}
	in := newInbox()
	answer := func(_ *primitive.ConsumeConcurrentlyContext, m *primitive.MessageExt) consumer.ConsumeResult {
		if consumer.GetReplyToClient(m) == "" {
			return consumer.ConsumeSuccess
		}
		reply, err := consumer.CreateReplyMessage(m, nil)
		if err == nil {
			reply.Body = []byte("reply to " + string(m.Body)) // The client does not take over what it is given.
			_, err = replier.SendSync(context.Background(), reply)
		}
		if err != nil {
			fmt.Println("reply-comes-back: the reply is refused:", err)
		}
		return consumer.ConsumeSuccess
	}
	if _, err = k.subscribe(k.group+"_c", k.topic, "*", in, answer); err != nil {
		return err
	}
	// The broker learns of a Go producer one second after its start, if it has sent something by then.
	if _, err = asker.SendSync(context.Background(), k.message("first", "T")); err != nil {
		return err
	}
	if err = in.await(map[string]bool{"first": true}, come); err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	for i := 0; i < 3; i++ {
		key := fmt.Sprintf("k%d", i)
		reply, err := asker.Request(context.Background(), come, k.message(key, "T"))
		if err != nil {
			return fmt.Errorf("request %s: %w", key, err)
		}
		if want := "reply to body of " + key; string(reply.Body) != want {
			return fmt.Errorf("reply %q, expected %q", reply.Body, want)
		}
	}
	return nil
}

func timed(k *kit) error {
	in, err := k.listen()
	if err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	sent := time.Now().UnixNano() / 1e6
	at := k.message("at", "T")
	at.WithProperty("TIMER_DELIVER_MS", fmt.Sprint(sent+3100))
	millis := k.message("millis", "T")
	millis.WithProperty("TIMER_DELAY_MS", "2300")
	for _, message := range []*primitive.Message{at, millis} {
		if _, err = p.SendSync(context.Background(), message); err != nil {
			return err
		}
	}
	if err = in.expectExactly(map[string]bool{"at": true, "millis": true}, come, settle); err != nil {
		return err
	}
	for key, wait := range map[string]int64{"at": 3100, "millis": 2300} {
		if after := in.of(key)[0].StoreTimestamp - sent; after < wait-50 || after > wait+3500 {
			return fmt.Errorf("%s came after %d ms, not %d", key, after, wait)
		}
	}
	return nil
}
