package demo

import "fmt"

// summary says what became of every row, and is an error unless all arrived.
func (d *demo) summary() error {
	total := d.ledger.account(d.seen...)
	d.say.title("Summary")
	plain := func(text string) string { return text }
	verdict := d.say.green
	if total.verdict() != nil {
		verdict = d.say.red
	}
	d.row("rows changed", grouped(total.rows), plain, "as "+d.stack.kind.name+" counts them")
	d.row("instant", grouped(total.messages), plain, "messages at once, as a Kafka consumer counted them")
	twins, behind := d.ledger.resent()
	d.row("delayed", grouped(twins), plain, "the same again, after their delay of "+delay.String()+"; several of one row may become one")
	if behind > 0 {
		d.row("not delayed", grouped(behind), verdict, "rows whose newest message did not come again")
	}
	d.row("repeated", grouped(total.repeated), plain, "because what is cut short begins again; an id does no harm twice")
	if total.strange > 0 {
		d.row("unasked for", grouped(total.strange), verdict, "about rows that nobody changed")
	}
	d.row("lost", grouped(total.lost), verdict, "rows of which no message arrived")
	if d.failover > 0 {
		d.row("failover time", span(d.failover), plain, "from kill -9 of the leader until the next message, from another node")
	}
	if d.bulk != nil {
		last := d.ledger.last(d.bulk)
		meaning := fmt.Sprintf("from the commit until all %s rows were there", grouped(len(d.bulk.rows)))
		if last > d.failover { // else the kill came too late to be in the middle
			meaning += ", the failover included"
		}
		d.row("to the last", span(last), plain, meaning)
	}
	d.say.line("  %-13s%s   %s", "status page", page(d.stack.nodes.All[0]), d.say.dim("of the whole cluster, while this program runs"))
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
