package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// Pages of a bbolt file, in the order of bytes of the machine (https://pkg.go.dev/go.etcd.io/bbolt/internal/common):
//
//	page      id 8 | flags 2 | count 2 | overflow 4 | count elements | keys and values
//	branch    position 4 | key size 4 | page 8
//	leaf      flags 4 | position 4 | key size 4 | value size 4
//	freelist  page 8
//
// A position is counted from its element. The value of a bucket begins with the page of its root, or with 0, eight bytes of
// something else, and a page.
const (
	headerSize  = 16
	elementSize = 16

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	recordElement = 0
	bucketElement = 1
)

// pages are those of a file. bbolt trusts them: it follows a page that leads to itself for ever, and writes over one that is
// in use if the list of free pages has it.
type pages struct {
	file io.ReaderAt
	size uint64 // of one, in bytes
	end  uint64 // so many there are
	used map[uint64]bool
	// buckets are those of which all pages make sense.
	buckets map[string]bool
}

// check follows all pages. What is wrong with the tree keeps from reading, what is wrong with the list of free ones from
// writing.
func check(tx *bbolt.Tx) (p pages, tree, free error) {
	p = pages{size: uint64(tx.DB().Info().PageSize), used: map[uint64]bool{0: true, 1: true}, buckets: make(map[string]bool)}
	p.end = uint64(tx.Size()) / p.size
	file, err := os.Open(tx.DB().Path())
	if err != nil {
		return p, err, err
	}
	defer file.Close()
	p.file = file
	info, err := file.Stat()
	if err != nil {
		return p, err, err
	}
	if _, tree = p.walk(uint64(tx.Cursor().Bucket().RootPage()), bucketElement, nil); tree == nil && info.Size() < tx.Size() {
		tree = fmt.Errorf("the file has %d bytes, and should have %d", info.Size(), tx.Size())
	}
	if tree != nil {
		return p, tree, tree
	}
	const freelist = headerSize + 32 // in the meta page of the transaction
	meta := make([]byte, p.size)
	if _, err := file.ReadAt(meta, int64(uint64(tx.ID())%2*p.size)); err != nil {
		return p, nil, err
	}
	return p, nil, p.list(binary.NativeEndian.Uint64(meta[freelist:]))
}

// read returns a page with those that it goes on in, which must not be used for anything else.
func (p *pages) read(id uint64) ([]byte, error) {
	if id >= p.end {
		return nil, fmt.Errorf("there is no page %d among %d", id, p.end)
	}
	header := make([]byte, headerSize)
	if _, err := p.file.ReadAt(header, int64(id*p.size)); err != nil {
		return nil, err
	}
	more := uint64(binary.NativeEndian.Uint32(header[12:]))
	if is := binary.NativeEndian.Uint64(header); is != id || id+more >= p.end {
		return nil, fmt.Errorf("page %d says that it is %d, with %d more", id, is, more)
	}
	for i := id; i <= id+more; i++ {
		if p.used[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		p.used[i] = true
	}
	page := make([]byte, (more+1)*p.size)
	_, err := p.file.ReadAt(page, int64(id*p.size))
	return page, err
}

// walk follows the page, and those that it leads to, down to leaves with elements of that kind, whose keys begin with low or
// after it. It returns the last key.
func (p *pages) walk(id uint64, kind uint32, low []byte) (last []byte, err error) {
	page, err := p.read(id)
	if err != nil {
		return nil, err
	}
	if last, err = p.elements(page, kind, low); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return last, nil
}

func (p *pages) elements(page []byte, kind uint32, low []byte) (last []byte, err error) {
	if len(page) < headerSize {
		return nil, errors.New("it is too short")
	}
	flags, count := binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:]))
	if flags != leafPage && (flags != branchPage || count == 0) || headerSize+count*elementSize > len(page) {
		return nil, fmt.Errorf("it has the flags %#x and %d elements", flags, count)
	}
	next := uint64(headerSize + count*elementSize) // they leave no gaps
	for i := range count {
		at := headerSize + i*elementSize
		var fields [4]uint32
		for n := range fields {
			fields[n] = binary.NativeEndian.Uint32(page[at+4*n:])
		}
		is, position, keySize, valueSize := fields[0], fields[1], fields[2], fields[3]
		if flags == branchPage {
			is, position, keySize, valueSize = kind, fields[0], fields[1], 0
		}
		begin := uint64(at) + uint64(position)
		end := begin + uint64(keySize) + uint64(valueSize)
		if is != kind || keySize == 0 || begin != next || end > uint64(len(page)) {
			return nil, fmt.Errorf("element %d of %d is %d, at %d with %d and %d bytes", i, count, is, begin, keySize, valueSize)
		}
		key, value := page[begin:][:keySize], page[begin:end][keySize:]
		if bytes.Compare(last, key) >= 0 || bytes.Compare(low, key) > 0 {
			return nil, fmt.Errorf("element %d of %d is out of order", i, count)
		}
		last, next = key, end
		switch {
		case flags == branchPage:
			last, err = p.walk(binary.NativeEndian.Uint64(page[at+8:]), kind, key)
		case kind == bucketElement:
			err = p.bucket(key, value)
		}
		if err != nil {
			return nil, err
		}
	}
	return last, nil
}

func (p *pages) bucket(name, value []byte) error {
	const size = 16
	if len(value) < size {
		return fmt.Errorf("bucket %q is too short", name)
	}
	var err error
	if root := binary.NativeEndian.Uint64(value); root == 0 {
		_, err = p.elements(value[size:], recordElement, nil)
	} else {
		_, err = p.walk(root, recordElement, nil)
	}
	p.buckets[string(name)] = err == nil
	return err
}

// list follows the list of free pages: all that are not used, each once.
func (p *pages) list(id uint64) error {
	page, err := p.read(id)
	if err != nil {
		return err
	}
	flags, count := binary.NativeEndian.Uint16(page[8:]), uint64(binary.NativeEndian.Uint16(page[10:]))
	ids := page[headerSize:]
	if count == 0xffff { // there are more, and how many comes first
		count, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if flags != freelistPage || count > uint64(len(ids)/8) {
		return fmt.Errorf("the list of free pages has the flags %#x and %d of them", flags, count)
	}
	for i := range count {
		id := binary.NativeEndian.Uint64(ids[8*i:])
		if id >= p.end || p.used[id] {
			return fmt.Errorf("page %d of %d is not free", id, p.end)
		}
		p.used[id] = true
	}
	if n := uint64(len(p.used)); n != p.end {
		return fmt.Errorf("of %d pages %d are neither used nor free", p.end, p.end-n)
	}
	return nil
}
