package mysql

import "slices"

// charsetOf returns the charset of a collation's number, "" if that is not known. The
// servers have given the first numbers together; MySQL goes on at 251 with utf8mb4 alone, MariaDB
// far above.
func charsetOf(collation uint64) string {
	switch {
	case collation >= 2048 && collation < 2048+5*256: // MariaDB's UCA 14.0.0
		return [...]string{"utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32"}[(collation-2048)/256]
	case collation >= 1024 && collation < 2048: // MariaDB's without padding: the number of the one with it, and a bit
		return charsetOf(collation - 1024)
	case collation >= 576 && collation < 768: // MariaDB's own
		return [...]string{"utf8mb3", "utf8mb4", "ucs2", "utf16", "", "utf32"}[(collation-576)/32]
	case collation > 250 && collation < 512:
		return "utf8mb4"
	}
	for _, c := range charsets() {
		if slices.Contains(c.collations, uint8(collation)) && collation < 256 {
			return c.name
		}
	}
	switch {
	case collation >= 101 && collation <= 127:
		return "utf16"
	case collation >= 128 && collation <= 159:
		return "ucs2"
	case collation >= 160 && collation <= 191:
		return "utf32"
	case collation >= 192 && collation <= 223:
		return "utf8mb3"
	case collation >= 224 && collation <= 247:
		return "utf8mb4"
	}
	return ""
}

type charsetCollations struct {
	name       string
	collations []uint8
}

// charsets lists the collations of both servers whose numbers have no order.
func charsets() []charsetCollations {
	return []charsetCollations{
		{"latin1", []uint8{5, 8, 15, 31, 47, 48, 49, 94}},
		{"utf8mb4", []uint8{45, 46}},
		{"utf8mb3", []uint8{33, 76, 83}},
		{charsetBinary, []uint8{63}},
		{"ascii", []uint8{11, 65}},
		{"ucs2", []uint8{35, 90}},
		{"utf16", []uint8{54, 55}},
		{"utf16le", []uint8{56, 62}},
		{"utf32", []uint8{60, 61}},
		{"armscii8", []uint8{32, 64}},
		{"big5", []uint8{1, 84}},
		{"cp1250", []uint8{26, 34, 44, 66, 99}},
		{"cp1251", []uint8{14, 23, 50, 51, 52}},
		{"cp1256", []uint8{57, 67}},
		{"cp1257", []uint8{29, 58, 59}},
		{"cp850", []uint8{4, 80}},
		{"cp852", []uint8{40, 81}},
		{"cp866", []uint8{36, 68}},
		{"cp932", []uint8{95, 96}},
		{"dec8", []uint8{3, 69}},
		{"eucjpms", []uint8{97, 98}},
		{"euckr", []uint8{19, 85}},
		{"gb18030", []uint8{248, 249, 250}},
		{"gb2312", []uint8{24, 86}},
		{"gbk", []uint8{28, 87}},
		{"geostd8", []uint8{92, 93}},
		{"greek", []uint8{25, 70}},
		{"hebrew", []uint8{16, 71}},
		{"hp8", []uint8{6, 72}},
		{"keybcs2", []uint8{37, 73}},
		{"koi8r", []uint8{7, 74}},
		{"koi8u", []uint8{22, 75}},
		{"latin2", []uint8{2, 9, 21, 27, 77}},
		{"latin5", []uint8{30, 78}},
		{"latin7", []uint8{20, 41, 42, 79}},
		{"macce", []uint8{38, 43}},
		{"macroman", []uint8{39, 53}},
		{"sjis", []uint8{13, 88}},
		{"swe7", []uint8{10, 82}},
		{"tis620", []uint8{18, 89}},
		{"ujis", []uint8{12, 91}},
	}
}
