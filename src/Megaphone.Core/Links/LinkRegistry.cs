using System.Security.Cryptography;
using System.Text;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>The links of one listener that are up or cut: how many there are, and which of them a <c>hello</c> asks for (section 7 of the link
/// protocol). Thread-safe.</summary>
/// <param name="maxLinks">The most links.</param>
/// <param name="timeout">How long sessions outlive a connection; zero: not at all.</param>
internal sealed class LinkRegistry(int maxLinks, TimeSpan timeout)
{
    /// <summary>Why a link is over that nobody will ask for.</summary>
    public const string Superseded = "its ECM has begun anew";

    private readonly Dictionary<Key, Link> _resumable = [];
    private readonly HashSet<Link> _superseded = [];
    private readonly Lock _lock = new();
    private int _count;

    /// <summary>The most links.</summary>
    public int MaxLinks => maxLinks;

    /// <summary>How many connections there may be: at the limit a link whose connection is about to be found dead may come back on another.</summary>
    public int MaxConnections
    {
        get
        {
            lock (_lock) return maxLinks + _resumable.Count;
        }
    }

    /// <summary>The links that are cut.</summary>
    public Link[] Cut()
    {
        lock (_lock) return [.. _resumable.Values.Where(link => link.IsCut)];
    }

    /// <summary>The links that can be resumed, and how each is found.</summary>
    public IReadOnlyDictionary<Link, LinkRegistration> Registrations()
    {
        lock (_lock)
        {
            return _resumable.ToDictionary(
                pair => pair.Value,
                pair => new LinkRegistration(pair.Key.Name, pair.Key.Instance, pair.Key.Slot, _superseded.Contains(pair.Value)));
        }
    }

    /// <summary>Adds a link that was handed over, whatever the most is now.</summary>
    /// <returns>False when there is one that is found in the same way.</returns>
    public bool TryRestore(Link link, LinkRegistration registration)
    {
        Key key = new(registration.Name, registration.Instance, registration.Slot);
        link.WhenOver = over => Remove(key, over);
        lock (_lock)
        {
            if (!_resumable.TryAdd(key, link)) return false;
            if (registration.IsSuperseded) _superseded.Add(link);
            _count++;
            return true;
        }
    }

    /// <summary>Has all links wait for as long as it takes.</summary>
    /// <returns>False while one of them is not cut, or about to be over.</returns>
    public bool TryHoldAll()
    {
        lock (_lock) return _resumable.Values.Count(link => link.TryHold()) == _count;
    }

    /// <summary>The terms of a new link; null: it cannot be resumed.</summary>
    public ResumeTerms? TermsFor(ControlResume? offer) =>
        timeout > TimeSpan.Zero && offer is { Instance: not null, Slot: not null, Window: { } window and <= ResumeTerms.MaxWindow }
            ? new ResumeTerms(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)), timeout, window)
            : null;

    /// <summary>The link that a <c>hello</c> asks for; null when there is none that it may have.</summary>
    /// <param name="name">The name of its sender.</param>
    /// <param name="request">What it asks for.</param>
    /// <param name="maxPacket">The longest packet that its sender accepts now: not less than when the link came up.</param>
    public Link? Find(string? name, ControlResume? request, int maxPacket)
    {
        if (request is not { Instance: { } instance, Slot: { } slot, Token: { } token, Received: not null }) return null;
        lock (_lock)
        {
            return _resumable.TryGetValue(new Key(name ?? "", instance, slot), out Link? link)
                && !_superseded.Contains(link)
                && maxPacket - PacketHeader.Size >= link.PeerMaxContent
                && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(token), Encoding.UTF8.GetBytes(link.Terms!.Token))
                    ? link
                    : null;
        }
    }

    /// <summary>Takes a place for a new link.</summary>
    /// <returns>False when there are too many.</returns>
    public bool TryAdmit()
    {
        lock (_lock)
        {
            if (_count >= maxLinks) return false;
            _count++;
            return true;
        }
    }

    /// <summary>Frees the place of a link, which did not come up or is over.</summary>
    public void Free()
    {
        lock (_lock) _count--;
    }

    /// <summary>Ends what a new link's <c>hello</c> shows to be of no use: links of other processes with its sender's name, as soon as they are
    /// cut, and the link that was in its slot.</summary>
    /// <param name="name">The name of its sender.</param>
    /// <param name="offer">What it says about resuming.</param>
    /// <param name="isNameShared">Whether a link of another process with that name is up.</param>
    /// <returns>The link that was in its slot and is still up, for the caller to close; else null.</returns>
    public Link? Supersede(string? name, ControlResume? offer, out bool isNameShared)
    {
        isNameShared = false;
        if (offer is not { Instance: { } instance, Slot: { } slot }) return null;
        Key key = new(name ?? "", instance, slot);
        List<Link> ended = [];
        Link? previous;
        lock (_lock)
        {
            if (_resumable.TryGetValue(key, out previous) && previous.IsCut) ended.Add(previous);
            foreach ((Key other, Link old) in _resumable)
            {
                if (other.Name != key.Name || other.Instance == key.Instance || !_superseded.Add(old)) continue;
                if (old.IsCut) ended.Add(old);
                else isNameShared = true;
            }
        }

        foreach (Link old in ended) old.Lose(Superseded);
        return previous is { IsOver: false } ? previous : null;
    }

    /// <summary>Adds a new link, for which there is a place; its end frees it.</summary>
    /// <param name="link">The link.</param>
    /// <param name="name">The name of its other end.</param>
    /// <param name="offer">What that has offered.</param>
    public void Add(Link link, string? name, ControlResume? offer)
    {
        if (link.Terms is null)
        {
            link.WhenOver = _ => Free();
            return;
        }

        Key key = new(name ?? "", offer!.Instance!, offer.Slot!.Value);
        link.WhenOver = over => Remove(key, over);
        lock (_lock) _resumable[key] = link;
    }

    /// <summary>A link is cut now.</summary>
    public void OnCut(Link link)
    {
        bool isSuperseded;
        lock (_lock) isSuperseded = _superseded.Contains(link);
        if (isSuperseded) link.Lose(Superseded);
    }

    private void Remove(Key key, Link link)
    {
        lock (_lock)
        {
            if (_resumable.TryGetValue(key, out Link? current) && current == link) _resumable.Remove(key);
            _superseded.Remove(link);
        }

        Free();
    }

    private readonly record struct Key(string Name, string Instance, int Slot);
}
