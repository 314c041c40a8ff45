package main

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Push consumers: filters, retries, dead letters, sharing, offsets.

func consumerCases() []testCase {
	return []testCase{
		{name: "consume-dead-letter", run: deadLetter},
		{name: "consume-retry", run: retried},
		{name: "consume-tag-filter", run: tagFilter},
		{name: "consume-rebalance", run: rebalance},
		{name: "consume-restart", run: restart},
	}
}

func (k *kit) sendAll(prefix string, count int) (map[string]bool, error) {
	p, err := k.producer()
	if err != nil {
		return nil, err
	}
	keys := map[string]bool{}
	for i := 0; i < count; i++ {
		key := fmt.Sprintf("%s%d", prefix, i)
		keys[key] = true
		if _, err = p.SendSync(context.Background(), k.message(key, "T")); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func tagFilter(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	in := newInbox()
	if _, err := k.subscribe(k.group+"_c", k.topic, "TagA || TagB", in, succeed); err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for i := 0; i < 40; i++ {
		key := fmt.Sprintf("k%d", i)
		if i%4 < 2 {
			wanted[key] = true
		}
		if _, err = p.SendSync(context.Background(), k.message(key, []string{"TagA", "TagB", "TagC", "TagD"}[i%4])); err != nil {
			return err
		}
	}
	return in.expectExactly(wanted, come, settle)
}

func retried(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	in := newInbox()
	_, err := k.subscribe(k.group+"_c", k.topic, "*", in,
		func(ctx *primitive.ConsumeConcurrentlyContext, message *primitive.MessageExt) consumer.ConsumeResult {
			ctx.DelayLevelWhenNextConsume = 1 // One second.
			if message.ReconsumeTimes == 0 {
				return consumer.ConsumeRetryLater
			}
			return consumer.ConsumeSuccess
		})
	if err != nil {
		return err
	}
	keys, err := k.sendAll("k", 5)
	if err != nil {
		return err
	}
	// The route of the retry topic is looked up every 30 s.
	if err = await("each twice", 3*come, func() bool { return in.size() >= 2*len(keys) }); err != nil {
		return err
	}
	time.Sleep(settle)
	for key := range keys {
		copies := in.of(key)
		if len(copies) != 2 || copies[1].ReconsumeTimes != 1 || copies[1].Topic != k.topic ||
			string(copies[1].Body) != "body of "+key {
			return fmt.Errorf("%s came as %v", key, copies)
		}
	}
	return nil
}

func deadLetter(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	in := newInbox()
	_, err := k.subscribe(k.group+"_c", k.topic, "*", in,
		func(ctx *primitive.ConsumeConcurrentlyContext, _ *primitive.MessageExt) consumer.ConsumeResult {
			ctx.DelayLevelWhenNextConsume = 1
			return consumer.ConsumeRetryLater
		}, consumer.WithMaxReconsumeTimes(2))
	if err != nil {
		return err
	}
	keys, err := k.sendAll("k", 2)
	if err != nil {
		return err
	}
	letters, err := k.deadLetters(3 * come)
	if err != nil {
		return err
	}
	if err = letters.expectExactly(keys, come, settle); err != nil {
		return err
	}
	for key := range keys {
		if n := len(in.of(key)); n != 3 {
			return fmt.Errorf("%s was delivered %d times before its dead letter, expected 3", key, n)
		}
	}
	return nil
}

func rebalance(k *kit) error {
	one, err := k.listen()
	if err != nil {
		return err
	}
	two := newInbox()
	end, err := k.subscribe(k.group+"_c", k.topic, "*", two, succeed)
	if err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	sent := 0
	err = await("both get some", come, func() bool {
		if _, sendErr := p.SendSync(context.Background(), k.message(fmt.Sprintf("k%d", sent), "T")); sendErr == nil {
			sent++
		}
		return one.size() > 0 && two.size() > 0
	})
	if err != nil {
		return err
	}
	if err = await("all came to one of the two", come, func() bool { return one.size()+two.size() >= sent }); err != nil {
		return err
	}
	end()
	keys, err := k.sendAll("l", 20)
	if err != nil {
		return err
	}
	return one.await(keys, come)
}

func restart(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	before := newInbox()
	end, err := k.subscribe(k.group+"_c", k.topic, "*", before, succeed)
	if err != nil {
		return err
	}
	keys, err := k.sendAll("k", 20)
	if err != nil {
		return err
	}
	if err = before.expectExactly(keys, come, 6*time.Second); err != nil { // It persists offsets every 5 s.
		return err
	}
	end()
	if keys, err = k.sendAll("l", 5); err != nil {
		return err
	}
	after := newInbox()
	if _, err = k.subscribe(k.group+"_c", k.topic, "*", after, succeed); err != nil {
		return err
	}
	return after.expectExactly(keys, come, settle)
}
