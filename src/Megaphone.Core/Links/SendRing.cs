using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>
/// The bounded ring in front of a link's sender: many threads write packets in place, one thread at a time reads the complete ones.
/// </summary>
/// <remarks>
/// <para>The ring of a link that can be resumed keeps what was sent until it is acknowledged (section 7 of the link protocol): then it can be
/// sent once more. Any other ring frees what was sent at once.</para>
/// <para>A writer first claims room, which fails at once when there is none, then commits packets into it (<see cref="RingClaim"/>). The two
/// are separate so that data stays in its source while there is no room for it: nothing is ever read that cannot be queued. No writer
/// waits for another; a packet becomes visible to the reader when its own mark is set.</para>
/// <para>Positions count bytes since the beginning and never repeat. No packet is shorter than a header, so at most one
/// begins in each <see cref="Grain"/> bytes, and one mark per grain is enough: it holds the position where the packet that
/// begins there ends. A mark left over from an earlier lap lies below the reader's position and so is ignored. A reader
/// that has emptied the ring continues at its beginning, as if the rest of it had been sent; what was skipped so is no part of the stream,
/// in which acknowledgements count.</para>
/// <code>
/// A byte of the ring   becomes     through                           by
/// free                 claimed     TryClaim                          any writer
/// claimed              committed   RingClaim.Commit: copied, marked  the claim's holder
/// claimed              free        RingClaim.Release                 the claim's holder
/// committed            sent        MarkSent                          the holder of the reader's lock
/// sent                 free        at once; if kept: acknowledged    the holder of the reader's lock, when it unlocks
/// sent                 committed   TryResend, on a new connection    the link, between two senders
///
/// The reader's lock    becomes     by
/// unlocked             locked      TryLockReader: a writer's flush, or the sender's thread; Close, for good
/// locked               unlocked    UnlockReader, by its holder, which then checks once more for packets whose writers found it locked, and
///                                  for an acknowledgement whose receiver did
/// </code>
/// </remarks>
internal sealed class SendRing
{
    private const int Grain = PacketHeader.Size;
    private const int GrainBits = 5;

    /// <summary>Where the tail is from the moment the ring is closed; no ring ever gets so far by itself.</summary>
    private const long LapOfTheLost = 1L << 62;

    /// <summary>How far the ring is filled before an empty one restarts at its beginning.</summary>
    private const int RewindBytes = 64 << 10;

    /// <summary>What of the reserve only acknowledgements use, a hundred of them: a full ring waits for the other end's, and that for ours.</summary>
    private const int AckReserve = 8 << 10;

    private readonly byte[] _bytes;
    private readonly long[] _marks;
    private readonly int _mask, _reserve, _ackReserve;
    private readonly bool _keepsSent;
    private readonly Action _onWritable;
    private readonly Action<int> _onLost;

    // Writers contend for these two: each has a cache line to itself.
    private PaddedLong _available;
    private PaddedLong _tail;

    // These change under the reader's lock: the first byte that is not free, the next to be sent, and how much was skipped before it. Then, in
    // the stream: the end of what a reader was given, and of what was acknowledged.
    private long _head;
    private long _sent;
    private long _skipped;
    private long _offered;
    private long _acknowledged;
    private volatile bool _isMisacknowledged;
    private int _starved, _readerLock;

    /// <summary>Makes an empty ring.</summary>
    /// <param name="capacity">Bytes, a power of two; at least twice the longest packet that will be written.</param>
    /// <param name="reserve">Bytes of it that only <see cref="TryClaimReserve"/> uses, for control packets.</param>
    /// <param name="onWritable">Called once after a claim was refused, when half of the ring is free again; on any thread.</param>
    /// <param name="onLost">Called with a number of packets that will never be sent or acknowledged, because of <see cref="Close"/>.</param>
    /// <param name="keepsSent">Whether what was sent is kept until it is acknowledged.</param>
    public SendRing(int capacity, int reserve, Action onWritable, Action<int> onLost, bool keepsSent = false)
    {
        if (!BitOperations.IsPow2(capacity) || capacity < 2 * Grain || reserve > capacity / 2)
            throw new ArgumentOutOfRangeException(nameof(capacity), capacity, "A ring's size is a power of two, and its reserve at most half of it.");

        _bytes = GC.AllocateUninitializedArray<byte>(capacity, pinned: true);
        _marks = new long[capacity >> GrainBits];
        _mask = capacity - 1;
        _reserve = reserve;
        _ackReserve = keepsSent ? Math.Min(AckReserve, reserve / 4) : 0;
        _keepsSent = keepsSent;
        _onWritable = onWritable;
        _onLost = onLost;
        _available.Value = capacity;
    }

    /// <summary>Whether everything has been sent and no claim is held. False while another thread holds the reader's lock.</summary>
    public bool IsIdle
    {
        get
        {
            if (!TryLockReader()) return false;
            bool idle = Volatile.Read(ref _available.Value) + _sent - _head == _bytes.Length;
            UnlockReader();
            return idle;
        }
    }

    /// <summary>Its size, in bytes.</summary>
    public int Capacity => _bytes.Length;

    /// <summary>Bytes that were sent and are kept, because they are not acknowledged. An estimate while others send.</summary>
    public long Unacknowledged => Math.Max(0, Volatile.Read(ref _sent) - Volatile.Read(ref _head));

    /// <summary>Bytes that are to be sent. An estimate while others write or send.</summary>
    public long Queued => Math.Max(0, Volatile.Read(ref _tail.Value) - Volatile.Read(ref _sent));

    /// <summary>The end of everything that was committed so far, for <see cref="IsFreeUpTo"/>.</summary>
    public long End => Volatile.Read(ref _tail.Value);

    /// <summary>Claims room for packets. Thread-safe.</summary>
    /// <param name="contentBytes">What they carry in all. With their headers at most half of what the ring has beside its reserve.</param>
    /// <param name="claim">The room, to be released by the caller.</param>
    /// <param name="packets">How many there may be.</param>
    /// <returns>False when there is no room now; <c>onWritable</c> will be called.</returns>
    public bool TryClaim(int contentBytes, out RingClaim claim, int packets = 1) =>
        TryClaim(RingClaim.BytesFor(contentBytes, packets), _reserve, out claim);

    /// <summary>Claims room for one control packet, which may use the reserve. Thread-safe.</summary>
    /// <param name="contentBytes">Its content.</param>
    /// <param name="claim">The room, to be released by the caller.</param>
    /// <param name="isAck">Whether it is an acknowledgement, which may use the last of the reserve.</param>
    /// <returns>False when even the reserve is used up; <c>onWritable</c> will be called.</returns>
    public bool TryClaimReserve(int contentBytes, out RingClaim claim, bool isAck = false) =>
        TryClaim(RingClaim.BytesFor(contentBytes), isAck ? 0 : _ackReserve, out claim);

    /// <summary>Whether the next packet to be sent is complete: certain for packets that the calling thread has written. Thread-safe.</summary>
    public bool HasPackets
    {
        get
        {
            Interlocked.MemoryBarrier();
            long sent = Volatile.Read(ref _sent);
            return Volatile.Read(ref Mark(sent)) > sent;
        }
    }

    /// <summary>Acquires the reader's lock, without waiting. Thread-safe; a full fence.</summary>
    public bool TryLockReader() => Interlocked.CompareExchange(ref _readerLock, 1, 0) == 0;

    /// <summary>Frees what is acknowledged, and releases the reader's lock; a full fence.</summary>
    public void UnlockReader()
    {
        do
        {
            if (_keepsSent) FreeAcknowledged();
            Interlocked.Exchange(ref _readerLock, 0);
        }
        while (_keepsSent && HasAcknowledged && TryLockReader());
    }

    /// <summary>Records what the other end has received, and frees it, now or when the reader's lock is released. Thread-safe; never waits. The
    /// link is to be flushed afterwards: what was written meanwhile may have found the lock taken.</summary>
    /// <param name="received">How many bytes from the stream's beginning; no more than before is ignored.</param>
    /// <returns>False when it cannot be true: they were never sent, or do not end with a packet.</returns>
    public bool TryAcknowledge(long received)
    {
        if (received > Volatile.Read(ref _offered)) return false;
        long before = Volatile.Read(ref _acknowledged);
        while (received > before)
        {
            long found = Interlocked.CompareExchange(ref _acknowledged, received, before);
            before = found == before ? received : found;
        }

        if (HasAcknowledged && TryLockReader()) UnlockReader();
        return !_isMisacknowledged;
    }

    /// <summary>Goes back to what the other end has not received, to send it on a new connection. The old one's sender must have ended.</summary>
    /// <param name="received">How many bytes of the stream the other end has received.</param>
    /// <returns>False when it cannot be true; then nothing has changed.</returns>
    public bool TryResend(long received)
    {
        while (!TryLockReader()) Thread.Yield();
        long until = received + _skipped;
        bool isPossible = until >= _head && received <= _offered && IsBoundary(until);
        if (isPossible) Volatile.Write(ref _sent, until);
        if (isPossible) _offered = _acknowledged = received;
        UnlockReader();
        return isPossible;
    }

    /// <summary>Whether everything that was committed before <see cref="End"/> was this has been sent, and acknowledged if it is kept.</summary>
    public bool IsFreeUpTo(long end) => Volatile.Read(ref _head) >= end;

    /// <summary>Finds the packets that are complete and next to be sent. For the holder of the reader's lock.</summary>
    /// <param name="first">Their bytes, up to the end of the ring.</param>
    /// <param name="second">The rest, from its beginning; empty unless they wrap.</param>
    /// <returns>How many packets there are; 0: none yet.</returns>
    public int Peek(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second)
    {
        AssertInvariants();
        long start = _sent;
        long end = start;
        int packets = 0;
        for (long next; (next = Volatile.Read(ref Mark(end))) > end; end = next) packets++;

        // Published before it is sent: the acknowledgement may arrive before the send has returned.
        if (_keepsSent) Volatile.Write(ref _offered, end - _skipped);
        Slice(start, end, out first, out second);
        return packets;
    }

    /// <summary>Goes on behind what has been sent: exactly the bytes that <see cref="Peek"/> gave. For the holder of the reader's lock.</summary>
    public void MarkSent(int bytes)
    {
        Volatile.Write(ref _sent, _sent + bytes);
        if (!_keepsSent) FreeUpTo(_sent);
    }

    /// <summary>Ends reading, after the current reader: what is queued, not acknowledged, or committed from now on, is lost. Once.</summary>
    public void Close()
    {
        while (!TryLockReader()) Thread.Yield();

        // The tail divides the packets. Whoever commits from here on finds it in the lap of the lost, and counts the packet; those before are
        // counted here, once the writers that are still copying have set their marks.
        long tail = Interlocked.Add(ref _tail.Value, LapOfTheLost) - LapOfTheLost;
        int lost = 0;
        for (long at = _head; at < tail; lost++)
        {
            long next;
            while ((next = Volatile.Read(ref Mark(at))) <= at) Thread.Yield();
            at = next;
        }

        if (lost > 0) _onLost(lost);
    }

    /// <summary>What is not acknowledged, as <see cref="Peek"/> gives what is not sent. While nobody writes or sends.</summary>
    /// <returns>Where in the stream it begins, and up to where a reader was given it.</returns>
    public (long Start, long Offered) GetKept(out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second)
    {
        Slice(_head, _tail.Value, out first, out second);
        return (_head - _skipped, _offered);
    }

    /// <summary>Begins where another ring stood: whoever calls this commits next what that has kept. The ring is new.</summary>
    public void BeginAt(long start) => (_acknowledged, _offered, _skipped) = (start, start, -start);

    /// <summary>Says up to where a reader was given what has been committed since <see cref="BeginAt"/>.</summary>
    /// <returns>False when no packet ends there.</returns>
    public bool TryOffer(long offered)
    {
        (_sent, _offered) = (offered + _skipped, offered);
        return _sent >= 0 && _sent <= _tail.Value && IsBoundary(_sent);
    }

    /// <summary>Writes one packet into claimed room; for <see cref="RingClaim"/>. Thread-safe; one thread's packets keep their order.</summary>
    /// <remarks>The reader sees it at once if it is awake; waking it is up to the caller.</remarks>
    /// <param name="id">The connection id.</param>
    /// <param name="content">Copied.</param>
    internal void Commit(ulong id, ReadOnlySpan<byte> content)
    {
        int length = RingClaim.BytesFor(content.Length);
        long start = Interlocked.Add(ref _tail.Value, length) - length;
        if (start >= LapOfTheLost)
        {
            _onLost(1);
            return;
        }

        int offset = (int)start & _mask;
        if (offset + length <= _bytes.Length)
        {
            Span<byte> packet = Slice(offset, length);
            PacketHeader.Write(packet, length, id);
            content.CopyTo(packet[PacketHeader.Size..]);
        }
        else
        {
            Span<byte> header = stackalloc byte[PacketHeader.Size];
            PacketHeader.Write(header, length, id);
            CopyIn(header, offset);
            CopyIn(content, (offset + PacketHeader.Size) & _mask);
        }

        Volatile.Write(ref Mark(start), start + length);
    }

    /// <summary>Frees claimed room that nothing was written into; for <see cref="RingClaim"/>. Thread-safe.</summary>
    internal void Release(int bytes)
    {
        if (bytes > 0) AddRoom(bytes);
    }

    /// <summary>Describes the first invariant that does not hold; null when all do. For the holder of the reader's lock.</summary>
    internal string? FindViolation()
    {
        // In this order: claims and commits made meanwhile only make the claimed bytes exceed the tail that was read first.
        long tail = Volatile.Read(ref _tail.Value) & (LapOfTheLost - 1);
        long available = Volatile.Read(ref _available.Value);
        if (available < 0 || available > _bytes.Length) return $"{available} bytes are free in a ring of {_bytes.Length}";
        if (_sent < _head || tail < _sent) return $"the head, {_head}, what was sent, {_sent}, and the tail, {tail}, are not in this order";
        return tail - _head > _bytes.Length - available ? $"{tail - _head} bytes are committed, and {_bytes.Length - available} were claimed" : null;
    }

    [Conditional("DEBUG")]
    private void AssertInvariants() => Debug.Assert(FindViolation() is null, FindViolation());

    /// <summary>Whether something is acknowledged and not free: certain for the holder of the reader's lock.</summary>
    private bool HasAcknowledged
    {
        get
        {
            long until = Math.Min(Volatile.Read(ref _acknowledged) + Volatile.Read(ref _skipped), Volatile.Read(ref _sent));
            return until > Volatile.Read(ref _head) && !_isMisacknowledged;
        }
    }

    /// <summary>Frees what is acknowledged. What is being sent stays until that has returned, even if it is acknowledged already.</summary>
    private void FreeAcknowledged()
    {
        if (!HasAcknowledged) return;
        long until = Math.Min(Volatile.Read(ref _acknowledged) + _skipped, _sent);
        if (until == _sent || IsBoundary(until)) FreeUpTo(until);
        else _isMisacknowledged = true;
    }

    /// <summary>Whether a packet ends there, at or behind the head.</summary>
    private bool IsBoundary(long position)
    {
        long at = _head;
        while (at < position && Volatile.Read(ref Mark(at)) is long next && next > at) at = next;
        return at == position;
    }

    private void FreeUpTo(long head)
    {
        int bytes = (int)(head - _head);

        // Nothing else is queued: restart where the memory is still in the cache, and leave the rest of it untouched.
        if (((int)head & _mask) >= RewindBytes && head == _sent && Volatile.Read(ref _tail.Value) == head)
        {
            long start = (head | (uint)_mask) + 1;
            if (Interlocked.CompareExchange(ref _tail.Value, start, head) == head)
            {
                Volatile.Write(ref _skipped, _skipped + start - head);
                Volatile.Write(ref _sent, start);
                head = start;
            }
        }

        Volatile.Write(ref _head, head);
        AddRoom(bytes);
    }

    private bool TryClaim(int bytes, int leave, out RingClaim claim)
    {
        if (TryReserve(bytes, leave))
        {
            claim = new RingClaim(this, bytes);
            return true;
        }

        // Set first, then try again: either this thread sees the room that was freed meanwhile, or the thread that frees
        // it sees that a writer waits.
        Interlocked.Exchange(ref _starved, 1);
        bool reserved = TryReserve(bytes, leave);
        claim = reserved ? new RingClaim(this, bytes) : default;
        return reserved;
    }

    private bool TryReserve(int bytes, int leave)
    {
        long available = Volatile.Read(ref _available.Value);
        while (available - bytes >= leave)
        {
            long found = Interlocked.CompareExchange(ref _available.Value, available - bytes, available);
            if (found == available) return true;
            available = found;
        }

        return false;
    }

    private void AddRoom(int bytes)
    {
        long available = Interlocked.Add(ref _available.Value, bytes);
        if (Volatile.Read(ref _starved) != 0 && available >= _bytes.Length / 2 && Interlocked.Exchange(ref _starved, 0) != 0) _onWritable();
    }

    private void CopyIn(ReadOnlySpan<byte> source, int offset)
    {
        int contiguous = Math.Min(source.Length, _bytes.Length - offset);
        source[..contiguous].CopyTo(Slice(offset, contiguous));
        source[contiguous..].CopyTo(_bytes);
    }

    private void Slice(long start, long end, out ReadOnlySpan<byte> first, out ReadOnlySpan<byte> second)
    {
        int offset = (int)start & _mask, count = (int)(end - start), contiguous = Math.Min(count, _bytes.Length - offset);
        first = Slice(offset, contiguous);
        second = Slice(0, count - contiguous);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Span<byte> Slice(int offset, int length) =>
        MemoryMarshal.CreateSpan(ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(_bytes), offset), length);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref long Mark(long position) =>
        ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(_marks), (nint)(((int)position & _mask) >> GrainBits));

    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct PaddedLong
    {
        [FieldOffset(64)]
        public long Value;
    }
}
