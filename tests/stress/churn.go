// SPDX-License-Identifier: MIT
// What is hard for a tracer in a Go program: goroutines that come and go, stacks that grow and shrink, panics that are
// recovered from, collections of garbage, loops that only a signal interrupts. Says one number, the same every time.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

type node struct {
	l, r *node
	v    uint64
}

func tree(d int, v uint64) *node {
	if d == 0 {
		return &node{v: v}
	}
	return &node{tree(d-1, v*3+1), tree(d-1, v*5+7), v}
}

func (n *node) sum() uint64 {
	if n == nil {
		return 0
	}
	return n.v + 3*n.l.sum() + 7*n.r.sum()
}

//go:noinline
func deep(n int, pad [20]uint64) uint64 {
	if n == 0 {
		return pad[3]
	}
	pad[n%20] += uint64(n)
	return deep(n-1, pad) + pad[0]
}

var errOdd = errors.New("odd")

func risky(n int) (ret int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = r.(error)
			ret = -n
		}
	}()
	for i := 0; i < 3; i++ {
		defer func(i int) { ret += i }(i)
	}
	if n%3 == 1 {
		panic(errOdd)
	}
	if n%7 == 2 {
		var a []int
		_ = a[n]
	}
	if n%11 == 3 {
		var p *node
		p.v = 1
	}
	return n, nil
}

// No call in it: only a signal gets it off the processor.
//
//go:noinline
func spin(n uint64) uint64 {
	x := uint64(88172645463325252)
	for i := uint64(0); i < n; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		if x&1023 < 511 == (x>>20&1 == 0) {
			x += i
		}
	}
	return x
}

type shape interface{ area() float64 }
type square struct{ s float64 }
type circle struct{ r float64 }

func (s square) area() float64 { return s.s * s.s }
func (c circle) area() float64 { return c.r * c.r * 3 }

func work(id int) uint64 {
	var s uint64
	s += tree(10, uint64(id)).sum()
	s += deep(50+id*13%2000, [20]uint64{1: uint64(id)})
	for i := 0; i < 60; i++ {
		r, err := risky(i + id)
		s = s*31 + uint64(r)
		if err != nil {
			s += uint64(len(err.Error()))
		}
	}
	s += spin(2000000 + uint64(id)*1000)
	words := strings.Fields(strings.Repeat(fmt.Sprintf("w%d x%d z%v ", id, id*7, id%5), 40))
	sort.Strings(words)
	m := map[string]int{}
	for i, w := range words {
		m[w] += i
	}
	keys := reflect.ValueOf(m).MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	for _, k := range keys {
		s = s*17 + uint64(m[k.String()])
	}
	var f float64
	for i, sh := range []shape{square{2}, circle{float64(id)}, square{float64(id) / 3}} {
		f += sh.area() * float64(i+1)
	}
	args := []reflect.Value{reflect.ValueOf(id), reflect.ValueOf([20]uint64{2: 5})}
	s += reflect.ValueOf(deep).Call(args)[0].Uint()
	return s + uint64(f*1000)
}

func main() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var total uint64
	rounds, each := 6, 24
	if len(os.Args) > 1 {
		rounds, _ = strconv.Atoi(os.Args[1])
	}
	out := make(chan uint64)
	go func() {
		for i := 0; i < 100; i++ {
			runtime.Gosched()
			time.Sleep(time.Millisecond)
			if i%10 == 0 {
				runtime.GC()
			}
		}
	}()
	for r := 0; r < rounds; r++ {
		for i := 0; i < each; i++ {
			wg.Add(1)
			go func(id int) {
				defer wg.Done()
				if id%9 == 0 {
					runtime.LockOSThread() // and never unlocks: the thread ends with it
				}
				v := work(id)
				select {
				case out <- v:
				case <-time.After(time.Duration(id%3) * time.Millisecond):
					mu.Lock()
					total += v
					mu.Unlock()
				}
			}(r*each + i)
		}
		done := make(chan bool)
		go func() { wg.Wait(); close(done) }()
	loop:
		for {
			select {
			case v := <-out:
				mu.Lock()
				total += v
				mu.Unlock()
			case <-done:
				break loop
			}
		}
		if b, err := exec.Command("/bin/echo", "child").Output(); err != nil || string(b) != "child\n" {
			fmt.Println("exec:", err)
			os.Exit(1)
		}
	}
	fmt.Println(total)
}
