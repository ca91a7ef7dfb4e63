//go:build cluster

package kafka

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// brokers makes topics of the test in the cluster that make cluster-up started.
func brokers(t *testing.T) Config {
	t.Helper()
	all := os.Getenv("GOPAN_TEST_KAFKA")
	if all == "" {
		t.Fatal("GOPAN_TEST_KAFKA is not set: run make test-cluster, or make cluster-up ONLY=kafka and . .cluster/env")
	}
	c := prepare(t, strings.Split(all, ","))
	t.Cleanup(func() {
		client, err := kgo.NewClient(c.options()...)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		_, _ = kadm.NewClient(client).DeleteTopics(context.Background(), c.Topic, c.DeadLetters)
	})
	return c
}

func TestClusterSuite(t *testing.T)       { suite(t, brokers) }
func TestClusterRebalance(t *testing.T)   { rebalance(t, brokers(t)) }
func TestClusterAnswerLost(t *testing.T)  { answerLost(t, brokers(t)) }
func TestClusterResultLost(t *testing.T)  { resultLost(t, brokers(t)) }
func TestClusterTwoGroups(t *testing.T)   { twoGroups(t, brokers(t)) }
func TestClusterOneStuck(t *testing.T)    { oneStuck(t, brokers(t)) }
func TestClusterDeadLetters(t *testing.T) { deadLetterKept(t, brokers(t)) }
