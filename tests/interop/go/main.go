// The Go suite: unmodified rocketmq-client-go v2 against the brokers of one name server.
//
//	suite NAMESRV escrow|rocketmq [PATTERN [OWN...]]
//
// Each case has topics and groups of its own, so several run at once; most of their time is waiting. Prints "PASS name",
// "FAIL name: why" or "SKIP name", and last "N passed, N failed". OWN... is a command that starts and kills a target for
// one case alone (see ../own); without it the cases that need one are skipped.
package main

import (
	"fmt"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

const (
	casesAtOnce = 12
	casesMax    = 420 * time.Second
)

type testCase struct {
	name       string
	escrowOnly bool // A stock broker is known to get it wrong.
	ownTarget  bool // It kills brokers.
	run        func(*kit) error
}

// allCases: the longest first, for they start in this order.
func allCases() []testCase {
	var all []testCase
	for _, cases := range [][]testCase{restartCases(), orderlyCases(), consumerCases(), transactionCases(), retryCases(),
		startCases(), pullCases(), adminCases(), filterCases(), replyCases(), sendCases()} {
		all = append(all, cases...)
	}
	return all
}

// runCase turns a panic of the client into a failure of the case that it happened in.
func runCase(one testCase, namesrv string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	k := newKit(namesrv, one.name)
	defer k.close()
	return one.run(k)
}

func runAll(namesrv, target string, only *regexp.Regexp) (passed, failed int) {
	var lock sync.Mutex
	var running sync.WaitGroup
	slots := make(chan struct{}, casesAtOnce)
	for _, one := range allCases() {
		one := one
		if !only.MatchString(one.name) {
			continue
		}
		if one.escrowOnly && target != "escrow" || one.ownTarget && len(ownCommand) == 0 {
			fmt.Println("SKIP", one.name)
			continue
		}
		running.Add(1)
		slots <- struct{}{}
		go func() {
			defer running.Done()
			defer func() { <-slots }()
			begin := time.Now()
			err := runCase(one, namesrv)
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				failed++
				fmt.Printf("FAIL %s: %v\n", one.name, err)
				return
			}
			passed++
			fmt.Printf("PASS %s (%.1f s)\n", one.name, time.Since(begin).Seconds())
		}()
	}
	running.Wait()
	return passed, failed
}

func main() {
	rlog.SetLogLevel("error")
	if len(os.Args) > 1 && os.Args[1] == victimArgument {
		beVictim(os.Args[2:])
	}
	if len(os.Args) > 1 && os.Args[1] == orderlyVictimArgument {
		beOrderlyVictim(os.Args[2:])
	}
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: suite NAMESRV escrow|rocketmq [PATTERN [OWN...]]")
		os.Exit(2)
	}
	pattern := ""
	if len(os.Args) > 3 {
		pattern = os.Args[3]
		ownCommand = os.Args[4:]
	}
	time.AfterFunc(casesMax, func() {
		fmt.Printf("FAIL all: not through after %v\n", casesMax)
		os.Exit(1)
	})
	passed, failed := runAll(os.Args[1], os.Args[2], regexp.MustCompile(pattern))
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}
