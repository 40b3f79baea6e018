/** An edit of the source that breaks one promise; the checkers have to find it out. */
export interface Mutant {
  readonly name: string
  /** what no longer holds */
  readonly breaks: string
  readonly file: string
  /** exactly once in that file */
  readonly from: string
  /** `$&` stands for `from` */
  readonly to: string
}

const LANE = 'actors/runtime/lane/lane.ts'
const RECALLING = 'actors/runtime/lane/recalling.ts'
const COMMITTING = 'actors/runtime/lane/committing.ts'
const EFFECTS = 'actors/runtime/lane/effects.ts'
const TURNS = 'actors/runtime/turn/turns.ts'
const GATE = 'actors/runtime/lane/gate.ts'
const MARKS = 'actors/runtime/lane/marks.ts'
const OUTBOX = 'actors/runtime/outbox.ts'
const TAKING = 'actors/runtime/lane/taking.ts'
/** The twins stand for `commit_batch` and `take`: what they check is what PostgreSQL checks. */
const STORE = 'test/twins/store.ts'
const STORED_LANE = 'test/twins/store-lane.ts'

/** Worlds that are wrong on purpose: a checker that lets one of them pass checks nothing. */
export const MUTANTS: readonly Mutant[] = [
  // --- ownership and commit (I2) ---
  {
    name: 'fence removed',
    breaks: 'storage refuses a batch from an older epoch',
    file: STORE,
    from: `if (row.epoch !== batch.epoch || row.owner === null) throw stale(service, batch.lane, batch.epoch, row)`,
    to: '',
  },
  {
    name: 'takeover keeps the epoch',
    breaks: 'a takeover raises the epoch, so that the owner before is fenced out',
    file: STORE,
    from: 'epoch: row.epoch + 1',
    to: 'epoch: Math.max(1, row.epoch)',
  },
  {
    name: 'lease ends before its owner thinks so',
    breaks: 'a lane is taken only when its owner has let it go or its lease has run out',
    file: STORE,
    from: 'process.expiresAtMs <= clock.wallMs()',
    to: 'process.expiresAtMs - 1_000 <= clock.wallMs()',
  },
  {
    name: 'batch number used again',
    breaks: 'in doubt the identical batch is sent again, never another under its number',
    file: COMMITTING,
    from: `case 'unknown':`,
    to: `case 'unknown': return this.refused(draft, textOf(error))`,
  },
  {
    name: 'batch computed ahead is lost',
    breaks: 'the events of a batch that was computed while another was refused return in their order',
    file: LANE,
    from: 'await this.#startAgain([refused, draft])',
    to: 'await this.#startAgain([refused])',
  },
  {
    name: 'refused memory kept',
    breaks: 'what a refused batch has left in memory is thrown away',
    file: RECALLING,
    from: 'this.now.memory = { ...remember(recovered, this.#options, this.fixed), halted }',
    to: 'this.now.memory = { ...remember(recovered, this.#options, this.fixed), halted, cache: this.now.memory.cache }',
  },
  {
    name: 'refused batch dropped',
    breaks: 'the events of a refused batch return',
    file: LANE,
    from: 'draft instanceof Draft ? draft.items : []',
    to: '[] as Item[]',
  },
  {
    name: 'cache outlives the lane',
    breaks: 'a lane that comes back to a process is read from storage, not from what the process remembers',
    file: RECALLING,
    from: 'const memory = { ...remember(start.recovered, options, this.fixed), halted: start.halted }',
    to: `const memory = { ...remember(start.recovered, options, this.fixed), halted: start.halted }
    const kept = (options.machines as { kept?: Map<number, object> }).kept ??= new Map()
    if (kept.has(memory.lane)) memory.cache = kept.get(memory.lane)
    else kept.set(memory.lane, memory.cache)`,
  },
  {
    name: 'unwritten actors leave memory',
    breaks: 'what a batch in flight has touched stays in memory until it is stored',
    file: 'actors/runtime/lane/snapshot-cache.ts',
    from: `  changed(address: string, actor: CachedActor): void {
    this.#pinned.set(address, actor)`,
    to: `  changed(address: string, actor: CachedActor): void {
    this.loaded(address, actor)`,
  },

  // --- exactly once between hosts (I6) ---
  {
    name: 'mark not checked',
    breaks: 'a position at or below the mark is a repeat and is dropped',
    file: MARKS,
    from: `if (position <= row.position) return { verdict: 'repeat' }`,
    to: `if (position <= row.position) return { verdict: 'take' }`,
  },
  {
    name: 'marks per source only',
    breaks: 'each topic has a mark of its own: they are fetched independently and overtake one another',
    file: MARKS,
    from: 'string => `${topic}\\n${source}\\n${incarnation}`',
    to: 'string => (topic ? `${source}\\n${incarnation}` : ``)',
  },
  {
    name: 'marks without incarnation',
    breaks: 'two processes of a name, or one before and after its restart, count separately',
    file: MARKS,
    from: 'string => `${topic}\\n${source}\\n${incarnation}`',
    to: 'string => (incarnation ? `${topic}\\n${source}` : ``)',
  },
  {
    name: 'marks not stored',
    breaks: 'marks are written in the transaction of the turns that they stand for',
    file: STORED_LANE,
    from: 'for (const mark of batch.marks)',
    to: 'for (const mark of batch.marks.slice(0, 0))',
  },
  {
    name: 'positions not stored',
    breaks: 'a successor goes on counting where its predecessor stopped',
    file: 'actors/runtime/lane/memory.ts',
    from: '.filter(({ incarnation }) => incarnation === lane.incarnation)',
    to: '.filter(() => false)',
  },
  {
    name: 'position skipped',
    breaks: 'positions are dense',
    file: 'actors/runtime/turn/outputs.ts',
    from: 'const position = (this.#memory.positions.get(at) ?? 0) + 1',
    to: 'const position = (this.#memory.positions.get(at) ?? 0) + (this.#memory.turn % 37 === 0 ? 2 : 1)',
  },
  {
    name: 'outbox released before commit',
    breaks: 'nothing of a batch leaves before its commit',
    file: COMMITTING,
    from: 'const begun = clock.monotonicMs()',
    to: 'this.#outbox.add(draft.batch, this.#now.memory.incarnation, draft.emitted.splice(0))\n    $&',
  },
  {
    name: 'published before acknowledged',
    breaks: 'a batch counts as published when every partition has answered',
    file: OUTBOX,
    from: 'const batches = this.#queue.splice(0)',
    to: '$&\n      this.published = batches.at(-1)!.batch',
  },
  {
    name: 'unanswered counts as published',
    breaks: 'what was not acknowledged is sent again',
    file: OUTBOX,
    from: `repeatedly(this.#log, tries)({ event: 'outbox.repeat'`,
    to: 'if (tries) return\n        $&',
  },
  {
    name: 'retry leaves some out',
    breaks: 'a retry is the identical list: a send that fails may have been written in part',
    file: OUTBOX,
    from: `repeatedly(this.#log, tries)({ event: 'outbox.repeat'`,
    to: 'records = records.slice(1)\n        $&',
  },
  {
    name: 'two sends under way',
    breaks: 'a lane has one send under way',
    file: OUTBOX,
    from: 'this.#sending ??= this.#run()',
    to: 'this.#sending = this.#run()',
  },
  {
    name: 'unpublished outbox forgotten',
    breaks: 'a takeover publishes what its predecessor had committed and not published',
    file: LANE,
    from: 'for (const row of recovered.outbox)',
    to: 'for (const row of recovered.outbox.slice(0, 0))',
  },
  {
    name: 'offsets told before the turn is stored',
    breaks: 'Kafka is told an offset only after the transaction that holds it',
    file: TAKING,
    from: 'draft.inputs.set(record.topic, moved)',
    to: '$&\n    this.#options.reader.commit(record.partition, { [record.topic]: moved.next })',
  },

  // --- effects (I1) ---
  {
    name: 'effect run again blindly after a takeover',
    breaks: 'a successor asks the oracle about what may have been sent; it never sends again',
    file: EFFECTS,
    from: `if (row.state === 'pending') this.#tell(open, 'uncertain'`,
    to: `if (row.state === 'pending') return this.#run(open, this.#send(open))\n    $&`,
  },
  {
    name: 'open effects forgotten at a takeover',
    breaks: 'a successor takes up what its predecessor had under way',
    file: STORED_LANE,
    from: `effects: [...row.effects.values()].filter(`,
    to: `effects: [...row.effects.values()].slice(0, 0).filter(`,
  },
  {
    name: 'read not taken up again',
    breaks: 'an idempotent effect runs again after a crash',
    file: EFFECTS,
    from: `if (row.mode === 'idempotent') return this.#reads.add(open)`,
    to: `if (row.mode === 'idempotent') return`,
  },
  {
    name: 'sent before commit',
    breaks: 'nothing is sent before its row is committed',
    file: LANE,
    from: 'inCommit = { draft, done: this.#committing.commit(draft) }',
    to: `for (const row of draft.effects.values()) if (row.state === 'pending') this.#effects.start(row)\n    $&`,
  },
  {
    name: 'oracle believed too early',
    breaks: 'the oracle’s "never" is final only when read at a block later than not_after',
    file: EFFECTS,
    from: `row.notAfterMs !== null && as_of_ms > row.notAfterMs`,
    to: `row.notAfterMs !== null`,
  },
  {
    name: 'silence taken for not sent',
    breaks: 'no answer is uncertain, never "no"',
    file: EFFECTS,
    from: `if ('not_sent' in said) {`,
    to: `if (!('not_sent' in said) && said.answered.kind === 'silence') return this.#notSent(open, 'silence')\n    $&`,
  },
  {
    name: 'send gate ignored',
    breaks: 'a process that is not armed sends nothing',
    file: GATE,
    from: `if (this.#options.definition.gate && (!this.armed || this.#shut || this.disagreement)) return 'disarmed'`,
    to: '',
  },
  {
    name: 'disarm waits for its commit',
    breaks: 'a disarm shuts the gate of the process that hears it at once',
    file: GATE,
    from: 'this.#shut = by',
    to: 'if (!by) this.#shut = by',
  },
  {
    name: 'arm survives a new release',
    breaks: 'a fresh release starts disarmed',
    file: 'machines/arm/machine.ts',
    from: 'armed !== null && armed.release === release && armed.incarnation === incarnation',
    to: 'armed !== null',
  },

  // --- timers ---
  {
    name: 'timer token ignored',
    breaks: 'a timer that was set anew or cancelled does not fire at its old time',
    file: 'actors/runtime/lane/timers.ts',
    from: 'return this.#current.get(timerAt(row))?.token === row.token',
    to: 'return this.#current.has(timerAt(row))',
  },
  {
    name: 'timers not stored',
    breaks: 'timers outlive the process that set them',
    file: STORED_LANE,
    from: 'for (const timer of batch.timersSet)',
    to: 'for (const timer of batch.timersSet.slice(0, 0))',
  },
  {
    name: 'later timers forgotten',
    breaks: 'timers beyond the window in memory are read when it is used up',
    file: 'actors/runtime/lane/gathering.ts',
    from: 'timers.bring(rows, rows.length === timerWindow)',
    to: 'timers.bring(rows, false)',
  },

  // --- nothing swallowed, same input same bytes, orders (I4, I5) ---
  {
    name: 'parked actor goes on',
    breaks: 'an actor’s later events wait behind its parked one',
    file: TURNS,
    from: '!isOrder && letter === null && this.#memory.parked.isParked(to)',
    to: '!isOrder && letter === 0',
  },
  {
    name: 'undone turn leaves its state',
    breaks: 'a turn that is refused changes nothing',
    file: TURNS,
    from: `      const planned = this.#outputs.plan(draft, delivery, outputs)
      this.#loading.changed(draft, to, address, machine, turned.state, before)`,
    to: `      this.#loading.changed(draft, to, address, machine, turned.state, before)
      const planned = this.#outputs.plan(draft, delivery, outputs)`,
  },
  {
    name: 'journal without what was attached',
    breaks: 'the journal holds all that a turn knew',
    file: 'actors/runtime/turn/turn-journal.ts',
    from: `{ ...stamped, attached: { $attached: at } }`,
    to: `{ ...stamped, attached: undefined }`,
  },
  {
    name: 'order carried out twice',
    breaks: 'an order that is read once more while its commit is under way is one order',
    file: 'actors/runtime/lane/mailbox.ts',
    from: 'else if (!this.#orderIds.has(item.order.id)) this.#orders.push(item)',
    to: 'else this.#orders.push(item)',
  },
  {
    name: 'order answered before commit',
    breaks: 'an order is answered when every addressed lane has committed it',
    file: 'actors/runtime/order-desk.ts',
    from: 'if (answers.length > 0 && done.length === answers.length) {',
    to: 'if (answers.length > 0) {',
  },

  // --- inventory: what is promised is there (I3) ---
  {
    name: 'reservation freed while uncertain',
    breaks: 'an offer without a known end keeps its reservation',
    file: 'machines/quote/machine.ts',
    from: `event.type === 'result.arrived' && isFinal(event.result.result_code)`,
    to: `event.type === 'result.arrived' && (isFinal(event.result.result_code) || event.result.result_code === 'UNCERTAIN')`,
  },
  {
    name: 'refusal frees the reservation',
    breaks: 'what was signed can settle until its deadline, whatever the relay has said',
    file: 'machines/quote/machine.ts',
    from: `event.type === 'result.arrived' && isFinal(event.result.result_code)`,
    to: `event.type === 'result.arrived' && (isFinal(event.result.result_code) || event.result.result_code === 'REJECTED')`,
  },
  {
    name: 'trade without a reservation',
    breaks: 'inventory is reserved from the decision on',
    file: 'machines/desk/machine.ts',
    from: 'ledger: reserve(ledger, command.asset_out, BigInt(command.amount_out))',
    to: 'ledger',
  },
  {
    name: 'reservations not counted',
    breaks: 'only what is credited and not spoken for is spendable',
    file: 'machines/desk/decide.ts',
    from: `BigInt(spokenFor(ledger)[token] ?? '0')`,
    to: '0n',
  },
  {
    name: 'settlement without a booking',
    breaks: 'a settled reservation counts until an inventory record shows it',
    file: 'machines/desk/machine.ts',
    from: 'book(release(context.ledger, event.token, units), event.token, units, event.settled_height)',
    to: 'release(context.ledger, event.token, units)',
  },
  {
    name: 'ended quote decided again',
    breaks: 'a quote_id is decided once',
    file: TURNS,
    from: `if (before?.state.status === 'done') return this.#afterEnd(draft, delivery, stamped, before)`,
    to: `if (before?.state.status === 'done') before = undefined`,
  },
  {
    name: 'nonce drawn anew at the send',
    breaks: 'what is sent is what the turn has fixed and the commit has stored',
    file: 'actors/services/trade-executor/effects.ts',
    from: '{ message, nonce, recipient })',
    to: `{ message, nonce: nonce.startsWith('A') ? \`B\${nonce.slice(1)}\` : \`A\${nonce.slice(1)}\`, recipient })`,
  },
  {
    name: 'bytes to sign worked out anew',
    breaks: 'a turn gives the same bytes for the same input',
    file: 'machines/command/assess.ts',
    from: 'nonce_deadline_ms: offer_deadline_ms + means.nonce_keep_ms',
    to: '$& + (globalThis.times = (globalThis.times ?? 0) + 1)',
  },
  {
    name: 'a float in a context',
    breaks: 'nothing in a context is a float',
    file: 'machines/desk/machine.ts',
    from: 'at_ms: event.now }',
    to: 'at_ms: event.now + 0.5 }',
  },

  // --- a database that lost its last second ---

  // --- what is booked, and a database that lost its last second ---
  {
    name: 'settled height too low',
    breaks: 'a settlement is booked at a height that shows it',
    file: 'actors/services/trade-executor/effects.ts',
    from: 'settled_height: block_height',
    to: 'settled_height: block_height - 6',
  },
  {
    name: 'incarnation kept after storage went back',
    breaks: 'what is said after a loss is said under a new incarnation',
    file: STORE,
    from: 'row.incarnation = draw()',
    to: 'draw()',
  },
  {
    name: 'arm survives the loss of storage',
    breaks: 'after a loss everything is disarmed',
    file: 'machines/arm/machine.ts',
    from: 'armed.release === release && armed.incarnation === incarnation',
    to: 'armed.release === release',
  },
  {
    name: 'sent again after the loss',
    breaks: 'what a record from before a loss leads to is not sent, it is asked about',
    file: MARKS,
    from: 'publishedMs < drawnMs',
    to: 'publishedMs < 0',
  },
  {
    name: 'forgotten asked about under one salt',
    breaks: 'what storage has forgotten is asked about under every salt that it may have been signed with',
    file: 'machines/command/assess.ts',
    from: 'stamp.maybe_taken_before ? [...new Set(recent_salts)]',
    to: 'stamp.maybe_taken_before ? [...new Set<string>()]',
  },
  {
    name: 'salts not stored',
    breaks: 'a lane keeps the salts that its owners have seen',
    file: 'machines/command/salts.ts',
    from: 'note: assign(({ context: { recent }, event: { salts } }) => ({ recent: withSalts(recent, salts) }))',
    to: 'note: assign(() => ({ recent: [] }))',
  },
]
