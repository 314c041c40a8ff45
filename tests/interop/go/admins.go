package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// The admin client; what an operator asks a running Go client through its broker; traces.

func adminCases() []testCase {
	return []testCase{
		{name: "admin-reset-offset", run: resetOffset},
		{name: "admin-queue-numbers", run: queueNumbers},
		{name: "admin-topic-permission", run: topicPermission},
		{name: "admin-topic", run: adminTopic},
		{name: "admin-group", run: adminGroup},
		{name: "admin-ask-consumer", run: askConsumer},
		{name: "trace-topic", run: traced},
	}
}

func offsetIn(header string) int64 {
	found := regexp.MustCompile(`"offset":"?(-?\d+)`).FindStringSubmatch(header)
	if found == nil {
		return -1
	}
	offset, _ := strconv.ParseInt(found[1], 10, 64)
	return offset
}

// adminTopic: made, listed, deleted, made again; the new one begins at 0.
func adminTopic(k *kit) error {
	a, err := k.admin()
	if err != nil {
		return err
	}
	if err = k.createTopicOf(k.topic, 3); err != nil {
		return err
	}
	listed := func() bool {
		list, err := a.FetchAllTopicList(context.Background())
		if err != nil {
			return false
		}
		for _, topic := range list.TopicList {
			if topic == k.topic {
				return true
			}
		}
		return false
	}
	if err = await("the topic is listed", come, listed); err != nil {
		return err
	}
	if queues, err := a.FetchPublishMessageQueues(context.Background(), k.topic); err != nil || len(queues) != 3 {
		return fmt.Errorf("%d queues, %v, expected 3", len(queues), err)
	}
	if _, err = k.sendAll("old", 6); err != nil {
		return err
	}
	if err = a.DeleteTopic(context.Background(), admin.WithTopicDelete(k.topic)); err != nil {
		return err
	}
	if err = await("the topic is no longer listed", come, func() bool { return !listed() }); err != nil {
		return err
	}
	if header, _, err := k.ask(105, `"topic":"`+k.topic+`"`); err != nil || !strings.Contains(header, `"code":17`) {
		return fmt.Errorf("the route of a deleted topic: %s, %v", header, err)
	}
	in, err := k.listen() // It makes the topic again.
	if err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	result, err := p.SendSync(context.Background(), k.message("new", "T"))
	if err != nil {
		return err
	}
	if result.QueueOffset != 0 {
		return fmt.Errorf("the first offset of the topic made anew is %d", result.QueueOffset)
	}
	return in.expectExactly(map[string]bool{"new": true}, come, settle)
}

// adminGroup: a consumer makes its group known.
func adminGroup(k *kit) error {
	if _, err := k.listen(); err != nil {
		return err
	}
	a, err := k.admin()
	if err != nil {
		return err
	}
	address, err := k.brokerAddress()
	if err != nil {
		return err
	}
	var group admin.SubscriptionGroupConfig
	if err = await("the group is known", come, func() bool {
		table, err := a.GetAllSubscriptionGroup(context.Background(), address, 5*time.Second)
		if err != nil {
			return false
		}
		found := false
		group, found = table.SubscriptionGroupTable[k.group+"_c"]
		return found
	}); err != nil {
		return err
	}
	if group.GroupName != k.group+"_c" || !group.ConsumeEnable || group.RetryMaxTimes != 16 || group.RetryQueueNums != 1 {
		return fmt.Errorf("the group is %+v", group)
	}
	return nil
}

// queueNumbers: a running consumer takes the queues that its topic is given.
func queueNumbers(k *kit) error {
	if err := k.createTopicOf(k.topic, 1); err != nil {
		return err
	}
	in := newInbox()
	if _, err := k.subscribe(k.group+"_c", k.topic, "*", in, succeed); err != nil {
		return err
	}
	keys, err := k.sendAll("one", 2)
	if err != nil {
		return err
	}
	if err = in.await(keys, come); err != nil {
		return err
	}
	if err = k.createTopicOf(k.topic, 3); err != nil {
		return err
	}
	if _, err = k.sendTo(2, 4, sameTag); err != nil {
		return err
	}
	for key := range setOf("k0 k1 k2 k3") {
		keys[key] = true
	}
	return in.expectExactly(keys, 3*come, 0) // Routes are looked up every 30 s, queues shared out every 20 s.
}

// topicPermission: a topic that is read only, and one that is written only.
func topicPermission(k *kit) error {
	a, err := k.admin()
	if err != nil {
		return err
	}
	address, err := k.brokerAddress()
	if err != nil {
		return err
	}
	permit := func(perm int) error {
		err := a.CreateTopic(context.Background(), admin.WithTopicCreate(k.topic), admin.WithBrokerAddrCreate(address),
			admin.WithReadQueueNums(1), admin.WithWriteQueueNums(1), admin.WithPerm(perm))
		if err != nil {
			return err
		}
		return await("the route shows the permission", come, func() bool {
			_, route, err := k.ask(105, `"topic":"`+k.topic+`"`)
			return err == nil && strings.Contains(route, fmt.Sprintf(`"perm":%d`, perm))
		})
	}
	if err = permit(6); err != nil {
		return err
	}
	queue, err := k.sendTo(0, 3, sameTag)
	if err != nil {
		return err
	}
	// Each with a producer of its own, for one that has seen another route goes by that.
	more := func() error {
		p, err := k.producer()
		if err != nil {
			return err
		}
		_, err = p.SendSync(context.Background(), k.message("more", "T"))
		return err
	}
	puller, err := k.puller(k.group+"_c", consumer.MessageSelector{})
	if err != nil {
		return err
	}
	if err = more(); err != nil {
		return err
	}
	if err = permit(4); err != nil {
		return err
	}
	if err = more(); err == nil || !strings.Contains(err.Error(), "route info not found") {
		return fmt.Errorf("a send to a topic that is read only: %v, expected that there is no queue", err)
	}
	result, err := puller.PullFrom(context.Background(), queue, 0, 32)
	if err == nil {
		err = expectPull(result, primitive.PullFound, 4, "k0", "k1", "k2", "more")
	}
	if err != nil {
		return err
	}
	if err = permit(2); err != nil {
		return err
	}
	if _, err = puller.PullFrom(context.Background(), queue, 0, 32); err == nil || !strings.Contains(err.Error(), "Code: 16") {
		return fmt.Errorf("a pull from a topic that is written only: %v, expected code 16", err)
	}
	if err = permit(6); err != nil {
		return err
	}
	result, err = puller.PullFrom(context.Background(), queue, 3, 32)
	if err != nil {
		return err
	}
	return expectPull(result, primitive.PullFound, 4, "more")
}

// resetOffset: a running consumer is sent back to the beginning.
func resetOffset(k *kit) error {
	in, err := k.listen()
	if err != nil {
		return err
	}
	keys, err := k.sendAll("k", 8)
	if err != nil {
		return err
	}
	if err = in.await(keys, come); err != nil {
		return err
	}
	if err = await("its offsets are stored", come, func() bool {
		sum := int64(0)
		for queue := 0; queue < 4; queue++ {
			header, _, err := k.askBroker(14, fmt.Sprintf(`"consumerGroup":"%s_c","topic":"%s","queueId":"%d"`, k.group,
				k.topic, queue))
			if err != nil {
				return false
			}
			sum += offsetIn(header)
		}
		return sum == int64(len(keys))
	}); err != nil {
		return err
	}
	if _, _, err = k.askBroker(222, fmt.Sprintf(`"topic":"%s","group":"%s_c","timestamp":"0","isForce":"true"`, k.topic,
		k.group)); err != nil {
		return err
	}
	// The client drops its queues, waits 10 s and takes them again at its next balance.
	return await("each once more", 3*come, func() bool {
		for key := range keys {
			if len(in.of(key)) < 2 {
				return false
			}
		}
		return true
	})
}

// askConsumer: a broker passes questions about a consumer on to it, and its answers back.
func askConsumer(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	in := newInbox()
	if _, err := k.subscribe(k.group+"_c", k.topic, "*", in, succeed); err != nil {
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
	if err = in.await(map[string]bool{"k": true}, come); err != nil {
		return err
	}
	_, list, err := k.askBroker(38, fmt.Sprintf(`"consumerGroup":"%s_c"`, k.group))
	if err != nil {
		return err
	}
	client := regexp.MustCompile(`"consumerIdList":\["([^"]+)"\]`).FindStringSubmatch(list)
	if client == nil {
		return fmt.Errorf("the group's clients are %s", list)
	}
	who := fmt.Sprintf(`"consumerGroup":"%s_c","clientId":"%s"`, k.group, client[1])
	_, info, err := k.askBroker(307, who+`,"jstackEnable":"false"`)
	if err != nil {
		return err
	}
	if !strings.Contains(info, k.topic) || !strings.Contains(info, "PROP_CONSUMEORDERLY") {
		return fmt.Errorf("the running info is %s", info)
	}
	_, did, err := k.askBroker(309, who+fmt.Sprintf(`,"msgId":"%s","brokerName":"%s","topic":"%s"`, result.OffsetMsgID,
		result.MessageQueue.BrokerName, k.topic))
	if err != nil {
		return err
	}
	if !strings.Contains(did, `"consumeResult":0`) || len(in.of("k")) != 2 {
		return fmt.Errorf("consumed directly: %s, %d deliveries", did, len(in.of("k")))
	}
	address, err := k.brokerAddress()
	if err != nil {
		return err
	}
	header, _, err := ask(address, 307, fmt.Sprintf(`"consumerGroup":"%s_c","clientId":"nobody","jstackEnable":"false"`,
		k.group))
	if err != nil || succeeded(header) {
		return fmt.Errorf("a client that is not there has answered: %s, %v", header, err)
	}
	return nil
}

// traced: producer and consumer write what they did into a topic of traces.
func traced(k *kit) error {
	traces := k.topic + "_traces"
	for _, topic := range []string{k.topic, traces} {
		if err := k.createTopicOf(topic, 4); err != nil {
			return err
		}
	}
	config := &primitive.TraceConfig{TraceTopic: traces, GroupName: k.group + "_trace", Access: primitive.Local,
		NamesrvAddrs: []string{k.namesrv}}
	in := newInbox()
	if _, err := k.subscribe(k.group+"_c", k.topic, "*", in, succeed, consumer.WithTrace(config)); err != nil {
		return err
	}
	p, err := k.producer(producer.WithTrace(config))
	if err != nil {
		return err
	}
	result, err := p.SendSync(context.Background(), k.message("k", "T"))
	if err != nil {
		return err
	}
	if !result.TraceOn {
		return fmt.Errorf("the broker does not say that it wants traces")
	}
	if err = in.await(map[string]bool{"k": true}, come); err != nil {
		return err
	}
	var lock sync.Mutex
	kinds := map[string]bool{}
	if _, err = k.subscribeBy(k.group+"_tracer", traces, consumer.MessageSelector{},
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			lock.Lock()
			defer lock.Unlock()
			for _, record := range strings.Split(string(messages[0].Body), "\x02") {
				if strings.Contains(record, result.MsgID) {
					kinds[strings.Split(record, "\x01")[0]] = true
				}
			}
			return consumer.ConsumeSuccess, nil
		}); err != nil {
		return err
	}
	return await("traces of sending and consuming", 2*come, func() bool {
		lock.Lock()
		defer lock.Unlock()
		return kinds["Pub"] && kinds["SubBefore"] && kinds["SubAfter"]
	})
}
