using System.Net;
using Megaphone.Values;

namespace Megaphone.Links;

/// <summary>The addresses of one target, as the answers of name servers tell them. No I/O.</summary>
/// <remarks>
/// An answer that lacks an address may be only a part: name servers truncate and rotate. So an address has left when answers have lacked
/// it for <see cref="LeaveAfter"/>. A failed or an empty answer says nothing about any address. Not thread-safe.
/// </remarks>
internal sealed class AddressBook(HostPort target)
{
    /// <summary>Twice the interval of look-ups: an address has left when three regular answers in a row have lacked it.</summary>
    public static readonly TimeSpan LeaveAfter = 2 * TargetLookup.Interval;

    private readonly List<Entry> _entries = target switch
    {
        { Address: { } address } => [new Entry(Of(target, address))],
        { Known: { } known } => [new Entry(new TargetAddress(target, known))],
        _ => [],
    };

    /// <summary>The addresses that have not left, in the order in which they came.</summary>
    public IReadOnlyList<TargetAddress> Addresses => [.. _entries.Select(entry => entry.Address)];

    /// <summary>Enters an answer.</summary>
    /// <param name="answer">The addresses in it; none: the answer was empty.</param>
    /// <param name="now">When it came, by a clock that never goes back.</param>
    /// <returns>Whether an address is new, or one has left.</returns>
    public bool Update(IReadOnlyCollection<IPAddress> answer, TimeSpan now)
    {
        if (answer.Count == 0) return false;
        HashSet<TargetAddress> listed = [.. answer.Select(address => Of(target, address))];
        foreach (Entry entry in _entries) entry.MissingSince = listed.Contains(entry.Address) ? null : entry.MissingSince ?? now;
        bool haveLeft = _entries.RemoveAll(entry => now - entry.MissingSince >= LeaveAfter) > 0;
        Entry[] added = [.. listed.Except(Addresses).Select(address => new Entry(address))];
        _entries.AddRange(added);
        return haveLeft || added.Length > 0;
    }

    private static TargetAddress Of(HostPort target, IPAddress address) =>
        new(target, new IPEndPoint(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, target.Port));

    private sealed class Entry(TargetAddress address)
    {
        public TargetAddress Address { get; } = address;

        /// <summary>When an answer first lacked it; null while the last one had it.</summary>
        public TimeSpan? MissingSince { get; set; }
    }
}
