package main

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Where consumers begin, and who gets what.

func startCases() []testCase {
	return []testCase{
		{name: "start-from-where", run: fromWhere},
		{name: "start-broadcast", run: broadcast},
		{name: "consume-two-groups", run: twoGroups},
		{name: "consume-batch", run: consumeBatch},
		{name: "consume-joining-leaving", run: joiningLeaving},
	}
}

// fromWhere: nothing of a young topic is passed over, whatever a new group asks for; a known group goes on where it was.
func fromWhere(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	keys, err := k.sendAll("k", 8)
	if err != nil {
		return err
	}
	minuteAgo := time.Now().Add(-time.Minute).UTC().Format("20060102150405") // The client takes it for UTC.
	ways := map[string]consumer.ConsumeFromWhere{"first": consumer.ConsumeFromFirstOffset,
		"last": consumer.ConsumeFromLastOffset, "timestamp": consumer.ConsumeFromTimestamp}
	inboxes := map[string]*inbox{}
	ends := map[string]func(){}
	for name, way := range ways {
		inboxes[name] = newInbox()
		if ends[name], err = k.subscribe(k.group+"_"+name, k.topic, "*", inboxes[name], succeed,
			consumer.WithConsumeFromWhere(way), consumer.WithConsumeTimestamp(minuteAgo)); err != nil {
			return err
		}
	}
	for name, in := range inboxes {
		if err = in.expectExactly(keys, come, settle/3); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		ends[name]()
	}
	if keys, err = k.sendAll("l", 4); err != nil {
		return err
	}
	for name, way := range ways {
		inboxes[name] = newInbox()
		if _, err = k.subscribe(k.group+"_"+name, k.topic, "*", inboxes[name], succeed,
			consumer.WithConsumeFromWhere(way), consumer.WithConsumeTimestamp(minuteAgo)); err != nil {
			return err
		}
	}
	for name, in := range inboxes {
		if err = in.expectExactly(keys, come, settle/3); err != nil {
			return fmt.Errorf("%s, the second time: %w", name, err)
		}
	}
	return nil
}

// broadcast: everybody gets everything; what fails is not tried again.
func broadcast(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	inboxes := []*inbox{newInbox(), newInbox(), newInbox()}
	for _, in := range inboxes {
		_, err := k.subscribe(k.group+"_c", k.topic, "*", in,
			func(_ *primitive.ConsumeConcurrentlyContext, message *primitive.MessageExt) consumer.ConsumeResult {
				if keyOf(message) == "k3" {
					return consumer.ConsumeRetryLater
				}
				return consumer.ConsumeSuccess
			}, consumer.WithConsumerModel(consumer.BroadCasting))
		if err != nil {
			return err
		}
	}
	keys, err := k.sendAll("k", 10)
	if err != nil {
		return err
	}
	for i, in := range inboxes {
		wait := settle
		if i > 0 {
			wait = 0
		}
		if err = in.expectExactly(keys, come, wait); err != nil {
			return err
		}
	}
	return nil
}

func twoGroups(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	one, two := newInbox(), newInbox()
	for group, in := range map[string]*inbox{"_c1": one, "_c2": two} {
		if _, err := k.subscribe(k.group+group, k.topic, "*", in, succeed); err != nil {
			return err
		}
	}
	keys, err := k.sendAll("k", 20)
	if err != nil {
		return err
	}
	if err = one.expectExactly(keys, come, settle); err != nil {
		return err
	}
	return two.expectExactly(keys, come, 0)
}

// consumeBatch: several messages a call, up to the number that was asked for.
func consumeBatch(k *kit) error {
	if err := k.createTopicOf(k.topic, 1); err != nil {
		return err
	}
	keys, err := k.sendAll("k", 32)
	if err != nil {
		return err
	}
	in := newInbox()
	sizes := make(chan int, 1000)
	_, err = k.subscribeBy(k.group+"_c", k.topic, consumer.MessageSelector{},
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			sizes <- len(messages)
			for _, message := range messages {
				in.add(message)
			}
			return consumer.ConsumeSuccess, nil
		}, consumer.WithConsumeMessageBatchMaxSize(8), consumer.WithPullBatchSize(16))
	if err != nil {
		return err
	}
	if err = in.expectExactly(keys, come, settle); err != nil {
		return err
	}
	largest := 0
	for len(sizes) > 0 {
		if size := <-sizes; size > largest {
			largest = size
		}
	}
	if largest != 8 {
		return fmt.Errorf("the largest call was of %d messages, not 8", largest)
	}
	return nil
}

// joiningLeaving: consumers come and go all the time while messages are sent. Nothing is lost.
func joiningLeaving(k *kit) error {
	if err := k.createTopicOf(k.topic, 8); err != nil {
		return err
	}
	in := newInbox()
	p, err := k.producer()
	if err != nil {
		return err
	}
	keys := map[string]bool{}
	send := func(count int) error {
		for i := 0; i < count; i++ {
			key := fmt.Sprintf("k%d", len(keys))
			if _, err := p.SendSync(context.Background(), k.message(key, "T")); err != nil {
				return err
			}
			keys[key] = true
		}
		return nil
	}
	var ends []func()
	for round := 0; round < 6; round++ {
		end, err := k.subscribe(k.group+"_c", k.topic, "*", in, succeed)
		if err != nil {
			return err
		}
		ends = append(ends, end)
		if err = send(50); err != nil {
			return err
		}
		if len(ends) == 3 { // The oldest goes, with messages under way.
			ends[0]()
			ends = ends[1:]
		}
		if err = send(50); err != nil {
			return err
		}
	}
	return in.await(keys, 3*come)
}
