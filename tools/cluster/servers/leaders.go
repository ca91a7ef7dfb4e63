package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Leaders are the nodes of a component that lead others: the primary of MySQL, the masters of Redis, the leader of etcd. Of the rest there is
// none: each broker of Kafka leads some partitions.
func (c *Cluster) Leaders(ctx context.Context, component string) ([]*Node, error) {
	if component == "mysql" {
		n, err := c.Primary(ctx)
		return []*Node{n}, err
	}
	leads := map[string]func(context.Context, int, *Node) (bool, error){"redis": c.isMaster, "etcd": c.isLeader}[component]
	if leads == nil {
		return nil, nil
	}
	nodes, err := c.Nodes(component)
	if err != nil {
		return nil, err
	}
	var all []*Node
	for i, n := range nodes {
		yes, err := leads(ctx, i+1, n)
		if err != nil {
			return nil, fmt.Errorf("who leads %s: %w", component, err)
		}
		if yes {
			all = append(all, n)
		}
	}
	return all, nil
}

func (c *Cluster) isMaster(ctx context.Context, i int, _ *Node) (bool, error) {
	role, err := c.redis(ctx, i, "ROLE")
	return strings.HasPrefix(role, "master"), err
}

// isLeader asks a member of etcd who leads it, by its JSON gateway.
func (c *Cluster) isLeader(ctx context.Context, _ int, n *Node) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	a, err := c.address("etcd/" + n.Name)
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a+"/v3/maintenance/status", bytes.NewReader([]byte("{}")))
	if err != nil {
		return false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	var status struct {
		Leader string
		Header struct {
			MemberID string `json:"member_id"`
		}
	}
	err = json.NewDecoder(resp.Body).Decode(&status)
	return status.Leader != "" && status.Leader == status.Header.MemberID, err
}
