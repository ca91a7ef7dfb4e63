package servers

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// kafkaNodes are brokers and controllers at once; what two of them have is acknowledged.
const kafkaNodes = 3

// kafkaComponent is Apache Kafka without ZooKeeper (KRaft).
var kafkaComponent = component{name: "kafka", up: kafkaUp, env: kafkaEnv}

func kafkaUp(ctx context.Context, c *Cluster) error {
	classes, err := c.script(ctx, "need-kafka.sh")
	if err != nil {
		return err
	}
	id, err := c.kafkaID()
	if err != nil {
		return err
	}
	var voters []string
	for i := 1; i <= kafkaNodes; i++ {
		a, err := c.address("kafka/controller/" + strconv.Itoa(i))
		if err != nil {
			return err
		}
		voters = append(voters, fmt.Sprintf("%d@%s", i, a))
	}
	var nodes []*Node
	for i := 1; i <= kafkaNodes; i++ {
		n, err := c.node("kafka", strconv.Itoa(i))
		if err != nil {
			return err
		}
		broker, err := c.address("kafka/" + n.Name)
		if err != nil {
			return err
		}
		controller, err := c.address("kafka/controller/" + n.Name)
		if err != nil {
			return err
		}
		conf := filepath.Join(n.Dir, "server.properties")
		if err := os.WriteFile(conf, fmt.Appendf(nil, `process.roles=broker,controller
node.id=%[1]d
controller.quorum.voters=%[2]s
listeners=CLIENTS://%[3]s,CONTROLLERS://%[4]s
advertised.listeners=CLIENTS://%[3]s
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLERS:PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLERS
log.dirs=%[5]s/data
# A record that two of three have survives any one of them; one that was not there for all it knows may not lead.
default.replication.factor=3
min.insync.replicas=2
unclean.leader.election.enable=false
offsets.topic.replication.factor=3
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=4
auto.create.topics.enable=false
# A broker that died is noticed soon.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
replica.lag.time.max.ms=6000
controller.quorum.election.timeout.ms=500
controller.quorum.fetch.timeout.ms=1000
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=3
log.segment.bytes=67108864
`, i, strings.Join(voters, ","), broker, controller, n.Dir), 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(n.Dir, "log4j2.properties"), []byte(`rootLogger.level=WARN
rootLogger.appenderRefs=out
rootLogger.appenderRef.out.ref=OUT
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c: %m%n
`), 0o644); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(n.Dir, "data")); errors.Is(err, os.ErrNotExist) {
			cmd := exec.CommandContext(ctx, "java", "-cp", classes, "kafka.tools.StorageTool", "format", "-t", id, "-c", conf)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("formatting: %w\n%s", err, out)
			}
		}
		if err := n.start(nil, "java", "-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError",
			"-Dlog4j2.configurationFile="+filepath.Join(n.Dir, "log4j2.properties"), "-cp", classes, "kafka.Kafka", conf); err != nil {
			return err
		}
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		broker, err := c.address("kafka/" + n.Name)
		if err != nil {
			return err
		}
		if err := n.wait(ctx, time.Minute, func(ctx context.Context) error { return kafkaAnswers(ctx, broker) }); err != nil {
			return err
		}
	}
	return nil
}

// kafkaID is the cluster's, made at the first call.
func (c *Cluster) kafkaID() (string, error) {
	dir, err := c.folder("kafka")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "id")
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		uuid := make([]byte, 16)
		_, _ = rand.Read(uuid) // never fails
		uuid[0] &= 0x7f        // or its text may begin with a hyphen, which the tool takes for an option
		b = []byte(base64.RawURLEncoding.EncodeToString(uuid))
		err = os.WriteFile(file, b, 0o644)
	}
	return string(b), err
}

// kafkaAnswers asks a broker which versions of its protocol it speaks, which it says when it can serve.
func kafkaAnswers(ctx context.Context, address string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	// ApiVersions (18) version 0, correlation id 1, no client id: https://kafka.apache.org/protocol
	request := []byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	answer := make([]byte, 10) // length, correlation id, error
	if _, err := conn.Read(answer); err != nil {
		return err
	}
	if !bytes.Equal(answer[4:], []byte{0, 0, 0, 1, 0, 0}) {
		return fmt.Errorf("it answers %x", answer)
	}
	return nil
}

func kafkaEnv(c *Cluster) map[string]string {
	var all []string
	for i := 1; i <= kafkaNodes; i++ {
		a, err := c.address("kafka/" + strconv.Itoa(i))
		if err != nil {
			return nil
		}
		all = append(all, a)
	}
	return map[string]string{"GOPAN_TEST_KAFKA": strings.Join(all, ",")}
}
