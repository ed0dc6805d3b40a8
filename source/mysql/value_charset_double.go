package mysql

import (
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// doubleByte is a charset whose characters have up to four bytes. golang.org/x/text reads it as browsers
// do, which is not always as the servers do: there are exceptions.
type doubleByte struct {
	encoding   encoding.Encoding
	length     func(wire []byte) int // of the first character, which is not ASCII
	exceptions []block
}

// block is a rectangle of codes that have consecutive characters: from first to last in
// their last byte, which is never 0x7f, and for each value of the one before it.
type block struct {
	first, last uint32
	to          rune
	text        string // instead, where they are not consecutive
}

// character returns the character of a code, false if it is not in the block.
func (b *block) character(code uint32) (rune, bool) {
	lead, trail := code>>8, code&0xff
	if lead < b.first>>8 || lead > b.last>>8 || trail < b.first&0xff || trail > b.last&0xff {
		return 0, false
	}
	column, row := trail-b.first&0xff, b.last&0xff-b.first&0xff+1
	if b.first&0xff < 0x7f && b.last&0xff > 0x7f {
		row--
		if trail > 0x7f {
			column--
		}
	}
	at := (lead-b.first>>8)*row + column
	if b.text == "" {
		return b.to + rune(at), true
	}
	for _, r := range b.text {
		if at == 0 {
			return r, true
		}
		at--
	}
	return utf8.RuneError, true
}

func (d *doubleByte) exception(code uint32) (rune, bool) {
	for i := range d.exceptions {
		if r, ok := d.exceptions[i].character(code); ok {
			return r, true
		}
	}
	return 0, false
}

func doubleByteOf(charset string) *doubleByte {
	switch charset {
	case "gbk":
		return &doubleByte{simplifiedchinese.GBK, twoBytes, nil}
	case "gb2312":
		return &doubleByte{simplifiedchinese.GBK, twoBytes, []block{{first: 0xa1a4, last: 0xa1a4, to: '・'}, {first: 0xa1aa, last: 0xa1aa, to: '―'}}}
	case "gb18030":
		return &doubleByte{simplifiedchinese.GB18030, lengthGB18030, gb18030Blocks()}
	case "big5":
		return &doubleByte{traditionalchinese.Big5, twoBytes, big5Blocks()}
	case "euckr":
		return &doubleByte{korean.EUCKR, twoBytes, nil}
	case "sjis":
		return &doubleByte{japanese.ShiftJIS, lengthSJIS, []block{
			{first: 0x815f, last: 0x815f, to: '\\'},
			{first: 0x8160, last: 0x8161, text: "〜‖"},
			{first: 0x817c, last: 0x817c, to: '−'},
			{first: 0x8191, last: 0x8192, to: '¢'},
			{first: 0x81ca, last: 0x81ca, to: '¬'},
		}}
	case "cp932":
		return &doubleByte{japanese.ShiftJIS, lengthSJIS, []block{{first: 0xf040, last: 0xf9fc, to: '\ue000'}}}
	case "ujis":
		return &doubleByte{japanese.EUCJP, lengthEUC, append(eucBlocks(),
			block{first: 0xa1c0, last: 0xa1c2, text: "\\〜‖"},
			block{first: 0xa1dd, last: 0xa1dd, to: '−'},
			block{first: 0xa1f1, last: 0xa1f2, to: '¢'},
			block{first: 0xa2cc, last: 0xa2cc, to: '¬'},
			block{first: 0x8fa2b7, last: 0x8fa2b7, to: '~'})}
	case "eucjpms":
		return &doubleByte{japanese.EUCJP, lengthEUC, append(eucBlocks(),
			block{first: 0x8fa2c3, last: 0x8fa2c3, to: '￤'},
			block{first: 0x8ff3f3, last: 0x8ff3fc, to: 'ⅰ'},
			block{first: 0x8ff3fd, last: 0x8ff3fe, to: 'Ⅰ'},
			block{first: 0x8ff4a1, last: 0x8ff4a8, to: 'Ⅲ'},
			block{first: 0x8ff4a9, last: 0x8ff4fe, text: eucjpmsKanji})}
	}
	return nil
}

func twoBytes([]byte) int { return 2 }

func lengthGB18030(wire []byte) int {
	if len(wire) > 1 && wire[1] >= '0' && wire[1] <= '9' {
		return 4
	}
	return 2
}

// lengthSJIS: katakana of half width have one byte.
func lengthSJIS(wire []byte) int {
	if c := wire[0]; c == 0x80 || c >= 0xa0 && c < 0xe0 || c > 0xfc {
		return 1
	}
	return 2
}

func lengthEUC(wire []byte) int {
	const threeBytes = 0x8f
	if wire[0] == threeBytes {
		return 3
	}
	return 2
}

// eucBlocks are the characters that users may define.
func eucBlocks() []block {
	return []block{{first: 0xf5a1, last: 0xfefe, to: '\ue000'}, {first: 0x8ff5a1, last: 0x8ffefe, to: '\ue3ac'}}
}

// eucjpmsKanji are IBM's.
const eucjpmsKanji = "＇＂㈱№℡炻仼僴凬匇匤﨎咊坙﨏塚增寬峵嵓﨑德悅愠敎昻晥晴朗栁﨓﨔橫櫢淸淲瀨凞猪甁皂皞益" +
	"礰礼神祥福竧靖精綠緖羽荢﨟薰蘒﨡蠇諸譿賴赶﨣﨤逸郞都鄕﨧﨨閒隆﨩霻靍靑飯飼館馞髙魲鶴黑"

func big5Blocks() []block {
	return []block{
		{first: 0xa145, last: 0xa145, to: '•'},
		{first: 0xa14e, last: 0xa14e, to: '､'},
		{first: 0xa15a, last: 0xa15a, to: utf8.RuneError},
		{first: 0xa1c2, last: 0xa1c3, text: "‾\ufffd"},
		{first: 0xa1c5, last: 0xa1c5, to: utf8.RuneError},
		{first: 0xa1e3, last: 0xa1e3, to: '∼'},
		{first: 0xa1f2, last: 0xa1f3, text: "♁☉"},
		{first: 0xa1fe, last: 0xa1fe, to: utf8.RuneError},
		{first: 0xa240, last: 0xa242, text: "\ufffd／＼"},
		{first: 0xa244, last: 0xa244, to: '¥'},
		{first: 0xa246, last: 0xa247, to: '¢'},
		{first: 0xa2cc, last: 0xa2cc, to: utf8.RuneError},
		{first: 0xa2ce, last: 0xa2ce, to: utf8.RuneError},
		{first: 0xc6a1, last: 0xc6a4, text: "ヾゝゞ々"},
		{first: 0xc6a5, last: 0xc6f7, to: 'ぁ'},
		{first: 0xc6f8, last: 0xc6fe, to: 'ァ'},
		{first: 0xc740, last: 0xc77e, to: 'エ'},
		{first: 0xc7a1, last: 0xc7b0, to: 'ョ'},
		{first: 0xc7b1, last: 0xc7b2, to: 'Д'},
		{first: 0xc7b3, last: 0xc7b3, to: 'Ё'},
		{first: 0xc7b4, last: 0xc7ba, to: 'Ж'},
		{first: 0xc7bb, last: 0xc7cd, to: 'У'},
		{first: 0xc7ce, last: 0xc7ce, to: 'ё'},
		{first: 0xc7cf, last: 0xc7e8, to: 'ж'},
		{first: 0xc7e9, last: 0xc7f2, to: '①'},
		{first: 0xc7f3, last: 0xc7fc, to: '⑴'},
	}
}

// gb18030Blocks are the characters that users may define, and those that had no place in
// Unicode when the standard was made.
func gb18030Blocks() []block {
	return []block{
		{first: 0xaaa1, last: 0xaffe, to: '\ue000'},
		{first: 0xf8a1, last: 0xfefe, to: '\ue234'},
		{first: 0xa140, last: 0xa7a0, to: '\ue4c6'},
		{first: 0xa2ab, last: 0xa2b0, to: '\ue766'},
		{first: 0xa2e4, last: 0xa2e4, to: '\ue76d'},
		{first: 0xa2ef, last: 0xa2f0, to: '\ue76e'},
		{first: 0xa2fd, last: 0xa2fe, to: '\ue770'},
		{first: 0xa4f4, last: 0xa4fe, to: '\ue772'},
		{first: 0xa5f7, last: 0xa5fe, to: '\ue77d'},
		{first: 0xa6b9, last: 0xa6c0, to: '\ue785'},
		{first: 0xa6d9, last: 0xa6df, to: '\ue78d'},
		{first: 0xa6ec, last: 0xa6ed, to: '\ue794'},
		{first: 0xa6f3, last: 0xa6f3, to: '\ue796'},
		{first: 0xa6f6, last: 0xa6fe, to: '\ue797'},
		{first: 0xa7c2, last: 0xa7d0, to: '\ue7a0'},
		{first: 0xa7f2, last: 0xa7fe, to: '\ue7af'},
		{first: 0xa896, last: 0xa8a0, to: '\ue7bc'},
		{first: 0xa8bc, last: 0xa8bc, to: '\u1e3f'},
		{first: 0xa8c1, last: 0xa8c4, to: '\ue7c9'},
		{first: 0xa8ea, last: 0xa8fe, to: '\ue7cd'},
		{first: 0xa958, last: 0xa958, to: '\ue7e2'},
		{first: 0xa95b, last: 0xa95b, to: '\ue7e3'},
		{first: 0xa95d, last: 0xa95f, to: '\ue7e4'},
		{first: 0xa997, last: 0xa9a3, to: '\ue7f4'},
		{first: 0xa9f0, last: 0xa9fe, to: '\ue801'},
		{first: 0xd7fa, last: 0xd7fe, to: '\ue810'},
		{first: 0xfe51, last: 0xfe53, to: '\ue816'},
		{first: 0xfe59, last: 0xfe59, to: '\ue81e'},
		{first: 0xfe61, last: 0xfe61, to: '\ue826'},
		{first: 0xfe66, last: 0xfe67, to: '\ue82b'},
		{first: 0xfe6c, last: 0xfe6d, to: '\ue831'},
		{first: 0xfe76, last: 0xfe76, to: '\ue83b'},
		{first: 0xfe7e, last: 0xfe7e, to: '\ue843'},
		{first: 0xfe90, last: 0xfe91, to: '\ue854'},
		{first: 0xfea0, last: 0xfea0, to: '\ue864'},
		{first: 0x8135f437, last: 0x8135f437, to: '\ue7c7'},
	}
}
