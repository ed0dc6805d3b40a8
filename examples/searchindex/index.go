package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis/analyzer/keyword"
	"github.com/blevesearch/bleve/v2/mapping"

	"github.com/kafkasync/kafkasync/consumer"
)

// index is a bleve index in which nothing older takes the place of something newer. A deleted row stays as a document
// that has only its version, and that no search finds.
type index struct {
	bleve bleve.Index
	mu    sync.Mutex // partitions are handled side by side: nobody writes between our look at a version and our write
}

// document is what the index has of a row.
type document struct {
	Product *product `json:"product"` // nil: it is deleted
	Version float64  `json:"version"` // exact up to 2^53, which a version reaches in the year 2112
}

func openIndex(path string) (*index, error) {
	opened, err := bleve.Open(path)
	if errors.Is(err, bleve.ErrorIndexPathDoesNotExist) {
		opened, err = bleve.New(path, fields())
	}
	if err != nil {
		return nil, fmt.Errorf("opening the index %q: %w", path, err)
	}
	return &index{bleve: opened}, nil
}

func fields() mapping.IndexMapping {
	price := bleve.NewTextFieldMapping()
	price.Analyzer = keyword.Name // as it is, not by words
	row := bleve.NewDocumentMapping()
	row.AddFieldMappingsAt("name", bleve.NewTextFieldMapping())
	row.AddFieldMappingsAt("price", price)
	m := bleve.NewIndexMapping()
	m.DefaultMapping.AddSubDocumentMapping("product", row)
	m.DefaultMapping.AddFieldMappingsAt("version", bleve.NewNumericFieldMapping())
	return m
}

func (x *index) upsert(ctx context.Context, found []consumer.Item[int64, product]) error {
	docs := make(map[string]document, len(found))
	for _, item := range found {
		docs[key(item.ID)] = document{&item.Row, float64(item.Version)}
	}
	return x.write(ctx, docs)
}

func (x *index) remove(ctx context.Context, missing []consumer.Ref[int64]) error {
	docs := make(map[string]document, len(missing))
	for _, ref := range missing {
		docs[key(ref.ID)] = document{Version: float64(ref.Version)}
	}
	return x.write(ctx, docs)
}

// truncate deletes what has a lower version, a thousand documents at a time.
func (x *index) truncate(ctx context.Context, version int64) error {
	below := float64(version)
	query := bleve.NewNumericRangeQuery(nil, &below)
	query.SetField("version")
	for {
		older, err := x.bleve.SearchInContext(ctx, bleve.NewSearchRequestOptions(query, 1000, 0, false))
		if err != nil {
			return fmt.Errorf("looking for what is older than the truncate: %w", err)
		}
		if len(older.Hits) == 0 {
			return nil
		}
		docs := make(map[string]document, len(older.Hits))
		for _, hit := range older.Hits {
			docs[hit.ID] = document{Version: below}
		}
		if err := x.write(ctx, docs); err != nil {
			return err
		}
	}
}

// write puts documents into the index, each unless what is there is newer. They are on disk when it returns.
func (x *index) write(ctx context.Context, docs map[string]document) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	stored, err := x.versions(ctx, docs)
	if err != nil {
		return err
	}
	batch := x.bleve.NewBatch()
	for id, doc := range docs {
		if doc.Version < stored[id] {
			continue
		}
		if err := batch.Index(id, doc); err != nil {
			return fmt.Errorf("indexing product %s: %w", id, err)
		}
	}
	if err := x.bleve.Batch(batch); err != nil {
		return fmt.Errorf("writing to the index: %w", err)
	}
	return nil
}

// versions are those that the index has of these documents.
func (x *index) versions(ctx context.Context, docs map[string]document) (map[string]float64, error) {
	ids := make([]string, 0, len(docs))
	for id := range docs {
		ids = append(ids, id)
	}
	request := bleve.NewSearchRequestOptions(bleve.NewDocIDQuery(ids), len(ids), 0, false)
	request.Fields = []string{"version"}
	found, err := x.bleve.SearchInContext(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("reading versions: %w", err)
	}
	versions := make(map[string]float64, len(found.Hits))
	for _, hit := range found.Hits {
		versions[hit.ID], _ = hit.Fields["version"].(float64)
	}
	return versions, nil
}

// search returns the ids of the ten products that fit best.
func (x *index) search(ctx context.Context, words string) ([]string, error) {
	query := bleve.NewMatchQuery(words)
	query.SetField("product.name")
	found, err := x.bleve.SearchInContext(ctx, bleve.NewSearchRequest(query))
	if err != nil {
		return nil, fmt.Errorf("searching: %w", err)
	}
	ids := []string{}
	for _, hit := range found.Hits {
		ids = append(ids, hit.ID)
	}
	return ids, nil
}

func key(id int64) string { return strconv.FormatInt(id, 10) }
