package main

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// What a consumer could not use: sent back, given up, sent again.

func retryCases() []testCase {
	return []testCase{
		{name: "namespace-retry", run: namespaced},
		{name: "retry-transaction", run: retriedTransaction},
		{name: "retry-properties", run: retryProperties},
		{name: "retry-to-dead-at-once", run: deadAtOnce},
		{name: "retry-no-attempts", run: noAttempts},
	}
}

// deadLetters waits for the dead letters' topic of the case's group and reads it.
func (k *kit) deadLetters(limit time.Duration) (*inbox, error) {
	dead := "%DLQ%" + k.group + "_c"
	if err := k.awaitRoute(dead, limit); err != nil {
		return nil, err
	}
	letters := newInbox()
	_, err := k.subscribe(k.group+"_undertaker", dead, "*", letters, succeed)
	return letters, err
}

// deadAtOnce: the level -1 is that of the dead letters.
func deadAtOnce(k *kit) error {
	return k.givenUp(func(ctx *primitive.ConsumeConcurrentlyContext, message *primitive.MessageExt) consumer.ConsumeResult {
		if keyOf(message) == "k1" {
			ctx.DelayLevelWhenNextConsume = -1
			return consumer.ConsumeRetryLater
		}
		return consumer.ConsumeSuccess
	})
}

// noAttempts: a group that allows no second delivery.
func noAttempts(k *kit) error {
	return k.givenUp(func(_ *primitive.ConsumeConcurrentlyContext, message *primitive.MessageExt) consumer.ConsumeResult {
		if keyOf(message) == "k1" {
			return consumer.ConsumeRetryLater
		}
		return consumer.ConsumeSuccess
	}, consumer.WithMaxReconsumeTimes(0))
}

// givenUp: of four messages, k1 becomes a dead letter after its first delivery.
func (k *kit) givenUp(do consume, options ...consumer.Option) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	in := newInbox()
	if _, err := k.subscribe(k.group+"_c", k.topic, "*", in, do, options...); err != nil {
		return err
	}
	keys, err := k.sendAll("k", 4)
	if err != nil {
		return err
	}
	if err = in.await(keys, come); err != nil {
		return err
	}
	letters, err := k.deadLetters(come)
	if err != nil {
		return err
	}
	if err = letters.expectExactly(map[string]bool{"k1": true}, come, 0); err != nil {
		return err
	}
	letter := letters.of("k1")[0]
	if origin := letter.GetProperty("RETRY_TOPIC"); origin != k.topic || string(letter.Body) != "body of k1" {
		return fmt.Errorf("the dead letter is of %q, with %q", origin, letter.Body)
	}
	return in.expectExactly(keys, 0, settle)
}

// retryProperties: what a copy shows of the first message.
func retryProperties(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	in := newInbox()
	_, err := k.subscribe(k.group+"_c", k.topic, "*", in,
		func(ctx *primitive.ConsumeConcurrentlyContext, message *primitive.MessageExt) consumer.ConsumeResult {
			ctx.DelayLevelWhenNextConsume = 1
			if message.ReconsumeTimes < 2 {
				return consumer.ConsumeRetryLater
			}
			return consumer.ConsumeSuccess
		})
	if err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	result, err := p.SendSync(context.Background(), k.message("k", "T"))
	if err != nil {
		return err
	}
	if err = await("three deliveries", 3*come, func() bool { return len(in.of("k")) >= 3 }); err != nil {
		return err
	}
	time.Sleep(settle)
	copies := in.of("k")
	if len(copies) != 3 {
		return fmt.Errorf("%d deliveries, expected 3", len(copies))
	}
	for i, one := range copies {
		if one.ReconsumeTimes != int32(i) || one.Topic != k.topic || one.GetTags() != "T" ||
			one.GetProperty("colour") != "grün" || one.GetProperty("UNIQ_KEY") != result.MsgID {
			return fmt.Errorf("delivery %d came as %v", i, one)
		}
		if origin := one.GetProperty("ORIGIN_MESSAGE_ID"); i > 0 && origin != result.OffsetMsgID {
			return fmt.Errorf("delivery %d names %q as its first one, not %s", i, origin, result.OffsetMsgID)
		}
	}
	return nil
}

// retriedTransaction: a copy of what a transaction published is an ordinary message.
func retriedTransaction(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	in := newInbox()
	_, err := k.subscribe(k.group+"_c", k.topic, "*", in,
		func(ctx *primitive.ConsumeConcurrentlyContext, message *primitive.MessageExt) consumer.ConsumeResult {
			ctx.DelayLevelWhenNextConsume = 1
			if message.ReconsumeTimes == 0 {
				return consumer.ConsumeRetryLater
			}
			return consumer.ConsumeSuccess
		})
	if err != nil {
		return err
	}
	listener := newPlan()
	p, err := k.transactional(listener)
	if err != nil {
		return err
	}
	for key, what := range map[string]string{"c": commit, "u": unknownCommit, "r": rollback} {
		if _, err = k.begin(p, key, what); err != nil {
			return err
		}
	}
	err = await("both twice", 3*come, func() bool { return len(in.of("c")) >= 2 && len(in.of("u")) >= 2 })
	if err != nil {
		return err
	}
	time.Sleep(settle)
	if len(in.of("c")) != 2 || len(in.of("u")) != 2 || len(in.of("r")) != 0 {
		return fmt.Errorf("delivered %d, %d and %d times, not 2, 2 and 0", len(in.of("c")), len(in.of("u")), len(in.of("r")))
	}
	if listener.checksOf("c") != 0 || listener.checksOf("u") != 1 {
		return fmt.Errorf("checked %d and %d times, not 0 and 1", listener.checksOf("c"), listener.checksOf("u"))
	}
	return nil
}

// namespaced: topic and group are inside of a namespace, and so is the topic of the retries.
func namespaced(k *kit) error {
	const space = "NS_go"
	if err := k.createTopic(); err != nil {
		return err
	}
	if err := k.createTopicOf(space+"%"+k.topic, 4); err != nil {
		return err
	}
	outside, inside := newInbox(), newInbox()
	if _, err := k.subscribe(k.group+"_c", k.topic, "*", outside, succeed); err != nil {
		return err
	}
	_, err := k.subscribe(k.group+"_c", k.topic, "*", inside,
		func(ctx *primitive.ConsumeConcurrentlyContext, message *primitive.MessageExt) consumer.ConsumeResult {
			ctx.DelayLevelWhenNextConsume = 1
			if message.ReconsumeTimes == 0 {
				return consumer.ConsumeRetryLater
			}
			return consumer.ConsumeSuccess
		}, consumer.WithNamespace(space))
	if err != nil {
		return err
	}
	p, err := k.producer(producer.WithNamespace(space))
	if err != nil {
		return err
	}
	if _, err = p.SendSync(context.Background(), k.message("k", "T")); err != nil {
		return err
	}
	if err = await("twice inside", 3*come, func() bool { return len(inside.of("k")) >= 2 }); err != nil {
		return err
	}
	for _, one := range inside.of("k") {
		if one.Topic != space+"%"+k.topic {
			return fmt.Errorf("came from the topic %s", one.Topic)
		}
	}
	if len(inside.of("k")) != 2 || outside.size() != 0 {
		return fmt.Errorf("%d deliveries inside, %d outside, expected 2 and 0", len(inside.of("k")), outside.size())
	}
	return nil
}
