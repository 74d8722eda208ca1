package dynamixel

import (
	"fmt"
	"slices"
)

// A Model is what sets one servo of the family apart from the others.
type Model struct {
	Number int32
	Name   string
	// CurrentUnit is the unit of PresentCurrent in mA; 0 where the register does not hold a current.
	CurrentUnit float64
	// LoadUnit is the unit of PresentCurrent in %; 0 where the register does not hold the load. Of a model
	// that is not known neither unit is.
	LoadUnit float64
}

// LookupModel returns the model with that number, and whether it is one that this package knows. Of one that
// it does not know, there is a name all the same, and what all models have in common.
func LookupModel(number int32) (Model, bool) {
	for _, v := range variants {
		if v.Number == number {
			return v.Model, true
		}
	}
	return Model{Number: number, Name: fmt.Sprintf("model %d", number)}, false
}

// Models returns all models that this package knows.
func Models() []Model {
	models := make([]Model, len(variants))
	for i, v := range variants {
		models[i] = v.Model
	}
	return models
}

// Table returns the model's control table in the order of its addresses, up to Backup Ready(147): without the
// indirect addresses and data, which are elsewhere in older firmware.
func (m Model) Table() []Entry {
	table := slices.Clone(common)
	for _, v := range variants {
		if v.Number == m.Number {
			for _, e := range slices.Concat(v.differs...) {
				table = put(table, e)
			}
		}
	}
	return put(table, readOnly(ModelNumber, m.Number))
}

// Entry returns the register's entry in the model's control table, and whether the model has that register.
func (m Model) Entry(r Register) (Entry, bool) {
	table := m.Table()
	if i, ok := search(table, r.Address); ok && table[i].Register == r {
		return table[i], true
	}
	return Entry{}, false
}

// Has reports whether the model has that register.
func (m Model) Has(r Register) bool {
	_, ok := m.Entry(r)
	return ok
}

// Modes returns the values of Operating Mode(11) that the model knows. Without a sensor for the current it
// lacks those that control it.
func (m Model) Modes() []int32 {
	if !m.Has(CurrentLimit) {
		return []int32{ModeVelocity, ModePosition, ModeExtendedPosition, ModePWM}
	}
	return []int32{ModeCurrent, ModeVelocity, ModePosition, ModeExtendedPosition, ModeCurrentBasedPosition, ModePWM}
}
