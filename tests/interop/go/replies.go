package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Request and reply, and messages that name the time of their delivery.

func replyCases() []testCase {
	return []testCase{
		{name: "reply-comes-back", run: replied},
		{name: "reply-to-nobody", run: replyToNobody},
		{name: "reply-async", run: repliedAsync},
		{name: "timer-times", run: timed},
	}
}

// asker starts who asks and who replies to all that comes, and makes sure that the broker knows them.
func (k *kit) asker() (rocketmq.Producer, error) {
	if err := k.createTopic(); err != nil {
		return nil, err
	}
	asker, err := k.producer()
	if err != nil {
		return nil, err
	}
	replier, err := k.producer()
	if err != nil {
		return nil, err
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
			fmt.Println("reply: the reply is refused:", err)
		}
		return consumer.ConsumeSuccess
	}
	if _, err = k.subscribe(k.group+"_c", k.topic, "*", in, answer); err != nil {
		return nil, err
	}
	// The broker learns of a Go producer one second after its start, if it has sent something by then.
	if _, err = asker.SendSync(context.Background(), k.message("first", "T")); err != nil {
		return nil, err
	}
	if err = in.await(map[string]bool{"first": true}, come); err != nil {
		return nil, err
	}
	return asker, await("the broker knows who asks", 2*come, func() bool {
		reply, err := asker.Request(context.Background(), 2*time.Second, k.message("try", "T"))
		return err == nil && reply != nil
	})
}

func replied(k *kit) error {
	asker, err := k.asker()
	if err != nil {
		return err
	}
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

// repliedAsync: many requests at once; each gets its own reply.
func repliedAsync(k *kit) error {
	asker, err := k.asker()
	if err != nil {
		return err
	}
	const count = 20
	answers := make(chan error, count)
	for i := 0; i < count; i++ {
		key := fmt.Sprintf("k%d", i)
		var once sync.Once // The client calls once with the reply, and may do so again when it forgets the request.
		err = asker.RequestAsync(context.Background(), come, func(_ context.Context, reply *primitive.Message, err error) {
			if want := "reply to body of " + key; err == nil && (reply == nil || string(reply.Body) != want) {
				err = fmt.Errorf("request %s was answered by %v", key, reply)
			}
			once.Do(func() { answers <- err })
		}, k.message(key, "T"))
		if err != nil {
			return err
		}
	}
	for i := 0; i < count; i++ {
		select {
		case err = <-answers:
			if err != nil {
				return err
			}
		case <-time.After(come):
			return fmt.Errorf("only %d of %d requests were answered", i, count)
		}
	}
	return nil
}

// replyToNobody: who asks where nobody replies is told so after its patience; the request is an ordinary message.
func replyToNobody(k *kit) error {
	in, err := k.listen()
	if err != nil {
		return err
	}
	asker, err := k.producer()
	if err != nil {
		return err
	}
	begin := time.Now()
	reply, err := asker.Request(context.Background(), 2*time.Second, k.message("k", "T"))
	if err == nil {
		return fmt.Errorf("nobody replied %v", reply)
	}
	if waited := time.Since(begin); waited < 1900*time.Millisecond {
		return fmt.Errorf("gave up after %v", waited)
	}
	if err = in.expectExactly(map[string]bool{"k": true}, come, 0); err != nil {
		return err
	}
	if m := in.of("k")[0]; m.GetProperty("CORRELATION_ID") == "" || consumer.GetReplyToClient(m) == "" ||
		m.GetProperty("CLUSTER") == "" {
		return fmt.Errorf("the request came as %v", m)
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
	seconds := k.message("seconds", "T")
	seconds.WithProperty("TIMER_DELAY_SEC", "4")
	past := k.message("past", "T")
	past.WithProperty("TIMER_DELIVER_MS", fmt.Sprint(sent-5000)) // At once.
	for _, message := range []*primitive.Message{at, millis, seconds, past} {
		if _, err = p.SendSync(context.Background(), message); err != nil {
			return err
		}
	}
	if err = in.expectExactly(setOf("at millis seconds past"), come, settle); err != nil {
		return err
	}
	for key, wait := range map[string]int64{"at": 3100, "millis": 2300, "seconds": 4000, "past": 0} {
		if after := in.of(key)[0].StoreTimestamp - sent; after < wait-50 || after > wait+3500 {
			return fmt.Errorf("%s came after %d ms, not %d", key, after, wait)
		}
	}
	return nil
}
