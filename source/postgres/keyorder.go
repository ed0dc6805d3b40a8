package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/kafkasync/kafkasync/source"
)

// The log says which columns are a table's primary key, not in which order, and
// nothing of it where the replica identity is another one; and the catalog forgets
// a table that was dropped while its last changes were not read yet. So a key that the
// log does not tell is registered with the table's coverage, behind its membership:
// t16411.16385["tenant","id"].

// toRemember returns the primary key, if the log does not tell it.
func (t *table) toRemember() []string {
	key := t.primaryKey()
	if t.Identity == 'd' && len(key) < 2 {
		return nil
	}
	return key
}

// registered returns the id under which a membership is registered.
func registered(membership string, key []string) (string, error) {
	if len(key) == 0 {
		return membership, nil
	}
	order, err := json.Marshal(key)
	if err != nil {
		return "", fmt.Errorf("registering the key %q: %w", key, err)
	}
	return membership + string(order), nil
}

// splitID takes such an id apart. The key is nil if the log tells it, or if it cannot be read.
func splitID(id string) (membership string, key []string) {
	at := strings.IndexByte(id, '[')
	if at < 0 {
		return id, nil
	}
	if err := json.Unmarshal([]byte(id[at:]), &key); err != nil {
		key = nil // written by another release, or by hand: as if it had never been known
	}
	return id[:at], key
}

// keyOrders remembers keys by table, for the life of the process.
type keyOrders struct {
	mu      sync.Mutex
	byTable map[uint32][]string
}

func (o *keyOrders) set(table uint32, key []string) {
	if len(key) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byTable == nil {
		o.byTable = map[uint32][]string{}
	}
	o.byTable[table] = key
}

// of returns the key of a table, or nil. Nobody remembers anything in a nil keyOrders.
func (o *keyOrders) of(table uint32) []string {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.byTable[table]
}

// recall takes over what an earlier run has registered.
func (k *keeper) recall() {
	for _, c := range k.memory.Covered() {
		_, key := splitID(c.ID)
		k.source.keys.set(coveredTable(c.ID), key)
	}
}

// memorize registers the key orders of the tables as they are now.
func (k *keeper) memorize(ctx context.Context, found []table) error {
	orders := make(map[uint32][]string, len(found))
	for i := range found {
		orders[found[i].OID] = found[i].toRemember()
		k.source.keys.set(found[i].OID, orders[found[i].OID])
	}
	before := k.memory.Covered()
	after := slices.Clone(before)
	for i := range after {
		c := &after[i]
		key, known := orders[coveredTable(c.ID)]
		if !known {
			continue
		}
		membership, _ := splitID(c.ID)
		id, err := registered(membership, key)
		if err != nil {
			return err
		}
		c.ID = id
	}
	if slices.Equal(before, after) {
		return nil
	}
	return k.memory.Cover(ctx, after, nil)
}

// unread reports whether the log of a table that is gone may be read again. Until
// then it stays registered, because its key's order is. It is asked at each look.
func (k *keeper) unread(c source.Coverage, inv *inventory) bool {
	end, noticed := k.gone[c.ID]
	if !noticed {
		end = inv.lsn
		k.gone[c.ID] = end
	}
	if k.confirmed == nil || k.confirmed() < end {
		return true
	}
	delete(k.gone, c.ID)
	return false
}

// passed reports whether the log of a table that is gone will not be read again.
func (k *keeper) passed() bool {
	for _, end := range k.gone {
		if k.confirmed != nil && k.confirmed() >= end {
			return true
		}
	}
	return false
}
