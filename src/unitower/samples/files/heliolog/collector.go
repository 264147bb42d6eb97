// Package collector polls inverters over Modbus and keeps their readings until the store has taken them.
package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand"
	"time"
)

// Reading is what one inverter said at one moment.
type Reading struct {
	Device  string
	Time    time.Time
	Watts   int32
	TotalWh int64
}

// Inverter answers with its present reading, or with an error if the bus was silent or garbled.
type Inverter interface {
	Name() string
	Read(ctx context.Context) (Reading, error)
}

// Store takes readings for good. A batch is taken whole or not at all.
type Store interface {
	Put(ctx context.Context, batch []Reading) error
}

// ErrFuture says that a reading is dated later than the clock allows.
var ErrFuture = errors.New("reading is dated in the future")

// Spool holds readings while the store cannot be reached. When it is full the oldest go first: a gap in the past is
// easier to explain than a page that has stopped.
type Spool struct {
	limit    int
	readings []Reading
	Dropped  int
}

// NewSpool makes a spool for at most limit readings.
func NewSpool(limit int) *Spool { return &Spool{limit: limit} }

// Add appends a reading and drops the oldest if there is no room.
func (s *Spool) Add(r Reading) {
	s.readings = append(s.readings, r)
	if excess := len(s.readings) - s.limit; excess > 0 {
		s.readings = s.readings[excess:]
		s.Dropped += excess
	}
}

// Flush hands everything to the store in batches and forgets what was taken.
func (s *Spool) Flush(ctx context.Context, store Store, batch int) error {
	for len(s.readings) > 0 {
		n := min(batch, len(s.readings))
		if err := store.Put(ctx, s.readings[:n]); err != nil {
			return fmt.Errorf("store refused %d readings, %d wait: %w", n, len(s.readings), err)
		}
		s.readings = s.readings[n:]
	}
	return nil
}

// readWithRetry asks up to attempts times, waiting longer after each failure, with some chance in it so that two loggers
// on one bus do not keep step.
func readWithRetry(ctx context.Context, inverter Inverter, attempts int) (Reading, error) {
	wait := 200 * time.Millisecond
	var last error
	for i := 0; i < attempts; i++ {
		reading, err := inverter.Read(ctx)
		if err == nil {
			if time.Until(reading.Time) > 90*time.Second {
				return Reading{}, fmt.Errorf("%s: %w", inverter.Name(), ErrFuture)
			}
			return reading, nil
		}
		last = err
		pause := wait + time.Duration(rand.Int63n(int64(wait)))
		select {
		case <-ctx.Done():
			return Reading{}, ctx.Err()
		case <-time.After(pause):
			wait *= 2
		}
	}
	return Reading{}, fmt.Errorf("%s did not answer %d times: %w", inverter.Name(), attempts, last)
}

// Run polls every inverter once per interval until the context ends, then empties the spool one last time.
func Run(ctx context.Context, inverters []Inverter, store Store, spool *Spool, interval time.Duration) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		for _, inverter := range inverters {
			reading, err := readWithRetry(ctx, inverter, 3)
			if err != nil {
				slog.Warn("no reading", "error", err)
				continue
			}
			spool.Add(reading)
		}
		if err := spool.Flush(ctx, store, 500); err != nil {
			slog.Warn("spooling", "error", err, "dropped", spool.Dropped)
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return spool.Flush(last, store, 500)
		case <-ticker.C:
		}
	}
}
