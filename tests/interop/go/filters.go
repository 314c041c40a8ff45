package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Expressions over properties, and tags that look alike.

func filterCases() []testCase {
	return []testCase{
		{name: "filter-sql", run: sqlTable},
		{name: "filter-sql-transaction", run: sqlTransaction},
		{name: "filter-sql-bad", run: sqlBad},
		{name: "filter-sql-bad-pull", escrowOnly: true, run: sqlBadPull},
		{name: "filter-tag-same-hash", run: sameHash},
	}
}

func sql(expression string) consumer.MessageSelector {
	return consumer.MessageSelector{Type: consumer.SQL92, Expression: expression}
}

func into(in *inbox) callback {
	return func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, message := range messages {
			in.add(message)
		}
		return consumer.ConsumeSuccess, nil
	}
}

// sqlTable: several groups, each with an expression of its own, of ten messages k0 to k9.
func sqlTable(k *kit) error {
	table := []struct{ expression, keys string }{
		{"n > 6", "k7 k8 k9"},
		{"n BETWEEN 2 AND 4 AND even = 'yes'", "k2 k4"},
		{"odd IS NULL AND n <= 2", "k0 k2"},
		{"(TAGS = 'T3' OR TAGS IN ('T4', 'T5')) AND n <> 4", "k3 k5"},
		{"NOT (even = 'yes') OR n = 8", "k8"}, // The other ones are without: unknown, not true.
	}
	if err := k.createTopic(); err != nil {
		return err
	}
	inboxes := make([]*inbox, len(table))
	for i, row := range table {
		inboxes[i] = newInbox()
		if _, err := k.subscribeBy(fmt.Sprintf("%s_c%d", k.group, i), k.topic, sql(row.expression), into(inboxes[i])); err != nil {
			return err
		}
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	for i := 0; i < 10; i++ {
		message := k.message(fmt.Sprintf("k%d", i), fmt.Sprintf("T%d", i))
		message.WithProperty("n", fmt.Sprint(i))
		message.WithProperty([]string{"even", "odd"}[i%2], "yes")
		if _, err = p.SendSync(context.Background(), message); err != nil {
			return err
		}
	}
	for i, row := range table {
		wait := settle
		if i > 0 {
			wait = 0
		}
		if err = inboxes[i].expectExactly(setOf(row.keys), come, wait); err != nil {
			return fmt.Errorf("%s: %w", row.expression, err)
		}
	}
	return nil
}

func setOf(keys string) map[string]bool {
	set := map[string]bool{}
	for _, key := range strings.Fields(keys) {
		set[key] = true
	}
	return set
}

func sqlTransaction(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	in := newInbox()
	if _, err := k.subscribeBy(k.group+"_c", k.topic, sql("plan = 'unknown-commit' AND colour = 'grün'"), into(in)); err != nil {
		return err
	}
	p, err := k.transactional(newPlan())
	if err != nil {
		return err
	}
	for key, what := range map[string]string{"c": commit, "r": rollback, "u": unknownCommit, "x": unknownRollback} {
		if _, err = k.begin(p, key, what); err != nil {
			return err
		}
	}
	return in.expectExactly(map[string]bool{"u": true}, come, settle)
}

// sqlBad: a group whose expression cannot be understood gets nothing; the others do.
func sqlBad(k *kit) error {
	if err := k.createTopicOf(k.topic, 1); err != nil {
		return err
	}
	in, all := newInbox(), newInbox()
	if _, err := k.subscribeBy(k.group+"_bad", k.topic, sql("n > > 3"), into(in)); err != nil {
		return err
	}
	if _, err := k.subscribeBy(k.group+"_c", k.topic, consumer.MessageSelector{}, into(all)); err != nil {
		return err
	}
	keys, err := k.sendAll("k", 4)
	if err != nil {
		return err
	}
	if err = all.expectExactly(keys, come, settle); err != nil {
		return err
	}
	if in.size() != 0 {
		return fmt.Errorf("%d delivered in spite of a bad expression", in.size())
	}
	return nil
}

// sqlBadPull: whoever pulls with one is told so (a stock broker gives it everything).
func sqlBadPull(k *kit) error {
	if err := k.createTopicOf(k.topic, 1); err != nil {
		return err
	}
	queue, err := k.sendTo(0, 1, sameTag)
	if err != nil {
		return err
	}
	puller, err := k.puller(k.group+"_c", sql("n > > 3"))
	if err != nil {
		return err
	}
	_, err = puller.PullFrom(context.Background(), queue, 0, 1)
	if err == nil || !strings.Contains(err.Error(), "Code: 23") {
		return fmt.Errorf("a pull with a bad expression: %v, expected code 23", err)
	}
	return nil
}

// sameHash: "Aa" and "BB" have one hash code, which is all that a broker's queue knows of a tag.
func sameHash(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	in := newInbox()
	if _, err := k.subscribe(k.group+"_c", k.topic, "Aa", in, succeed); err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	for i, tag := range []string{"Aa", "BB", "AaBB", "Aa"} {
		if _, err = p.SendSync(context.Background(), k.message(fmt.Sprintf("k%d", i), tag)); err != nil {
			return err
		}
	}
	return in.expectExactly(setOf("k0 k3"), come, settle)
}
