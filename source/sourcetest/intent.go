package sourcetest

import "context"

// Intent is a source.Intent in memory.
type Intent struct{ declared, before bool }

// Fresh returns an intent that nobody has declared yet.
func Fresh() *Intent { return &Intent{} }

// Resumed returns one that an earlier run declared.
func Resumed() *Intent { return &Intent{declared: true, before: true} }

// Declared is described at source.Intent.
func (i *Intent) Declared() bool { return i.before }

// Declare is described at source.Intent.
func (i *Intent) Declare(context.Context) error {
	i.declared = true
	return nil
}
