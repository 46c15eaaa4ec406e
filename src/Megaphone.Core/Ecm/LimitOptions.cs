using System.Net;

namespace Megaphone.Ecm;

/// <summary>What an address may have, and clients before they have logged in. Checked.</summary>
internal sealed record LimitOptions
{
    /// <summary>What may wait for a client who has not logged in, in bytes: more than servers say before that.</summary>
    public const int BytesWaitingBeforeLogin = 16 << 10;

    /// <summary>A stanza whose rest has not come for so long, and at most twice that, ends its client.</summary>
    public static readonly TimeSpan StanzaTimeout = TimeSpan.FromSeconds(60);

    /// <summary>Connections of one address at the same time; 0, the default: any number.</summary>
    public int PerAddress { get; init; }

    /// <summary>Connections that one address may bring in a second; 0, the default: any number.</summary>
    public int PerAddressRate { get; init; }

    /// <summary>How many bits of an IPv4 address tell one from another. 8 to 32, default 32.</summary>
    public int Ipv4Prefix { get; init; } = 32;

    /// <summary>How many bits of an IPv6 address tell one from another. 16 to 64, default 64: a host has all addresses of its network.</summary>
    public int Ipv6Prefix { get; init; } = 64;

    /// <summary>
    /// How many bits tell one IPv6 site from another, which may have <see cref="AddressTable.SiteFactor"/> times as much as an address. 16 to
    /// 48, default 48; 0: sites are not counted.
    /// </summary>
    public int Ipv6Site { get; init; } = 48;

    /// <summary>Who may connect. Empty, the default: everybody.</summary>
    public IReadOnlyList<IPNetwork> Allow { get; init; } = [];

    /// <summary>Who may not, allowed or not. Default: nobody.</summary>
    public IReadOnlyList<IPNetwork> Deny { get; init; } = [];

    /// <summary>Whom <see cref="PerAddress"/> and <see cref="PerAddressRate"/> do not concern. Default: 127.0.0.0/8.</summary>
    public IReadOnlyList<IPNetwork> Exempt { get; init; } = [new(new IPAddress([127, 0, 0, 0]), 8)];

    /// <summary>
    /// How long a client may take to log in, or where it speaks something else than XMPP, to send its first byte. Default 60 s; zero: any time.
    /// </summary>
    public TimeSpan LoginTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The longest piece of a stream before the login, in bytes. Default 16 KiB.</summary>
    public int StanzaBytesBeforeLogin { get; init; } = 16 << 10;
}
