package consumer

// Behind is what Publisher.Await asks of a position.
var Behind = behind
