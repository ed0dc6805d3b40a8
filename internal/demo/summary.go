package demo

import "fmt"

// summary says what became of every row, and is an error unless all arrived.
func (d *demo) summary() error {
	total, bulk := d.ledger.account(d.seen...), d.seen[len(d.seen)-1]
	d.say.title("Summary")
	plain := func(text string) string { return text }
	verdict := d.say.green
	if total.verdict() != nil {
		verdict = d.say.red
	}
	d.row("rows changed", grouped(total.rows), plain, "as Postgres counts them")
	d.row("messages", grouped(total.messages), plain, "as a Kafka consumer counted them")
	twins, behind := d.ledger.resent()
	d.row("delayed", grouped(twins), plain, "the same messages again, after their delay")
	if behind > 0 {
		d.row("not delayed", grouped(behind), verdict, "rows whose newest message did not come again")
	}
	d.row("repeated", grouped(total.repeated), plain, "the killed node's transaction began again; an id does no harm twice")
	if total.strange > 0 {
		d.row("unasked for", grouped(total.strange), verdict, "about rows that nobody changed")
	}
	d.row("lost", grouped(total.lost), verdict, "rows of which no message arrived")
	if d.away > 0 {
		d.row("node away", span(d.away), plain, "from kill -9 until it read the log again")
	}
	d.row("to the last", span(d.ledger.last(bulk)), plain,
		fmt.Sprintf("from the commit until all %s rows were there, the kill included", grouped(len(bulk.rows))))
	if d.say.err != nil {
		return d.say.err
	}
	return total.verdict()
}

// row prints a figure and what it means.
func (d *demo) row(name, figure string, style func(string) string, meaning string) {
	d.say.line("  %-13s%s   %s", name, style(fmt.Sprintf("%9s", figure)), d.say.dim(meaning))
}

// verdict is nil if what arrived is what was changed.
func (a account) verdict() error {
	switch {
	case a.lost > 0:
		return fmt.Errorf("%s of %s changed rows did not arrive", grouped(a.lost), grouped(a.rows))
	case a.strange > 0:
		return fmt.Errorf("%s messages arrived about rows that were not changed", grouped(a.strange))
	default:
		return nil
	}
}
