using System.Net;
using Megaphone.Links;

namespace Megaphone.Preflight;

/// <summary>What came of asking one address of a <see cref="Configuration.Target"/>.</summary>
internal sealed record AddressAnswer(EndPoint Address)
{
    /// <summary>Why there is no connection; null: there was one.</summary>
    public string? Unreachable { get; init; }

    /// <summary>Why no link came up, though there was a connection.</summary>
    public Objection Objection { get; init; }

    /// <summary>The same in words.</summary>
    public string Reason { get; init; } = "";

    /// <summary>What to do about it, where that is known already.</summary>
    public string? Fix { get; init; }

    /// <summary>Whether the other end has this in its words.</summary>
    public bool Says(string what) => Reason.Contains(what, StringComparison.OrdinalIgnoreCase);

    /// <summary>What it has said in its <c>welcome</c>; null: no link came up, or nobody asked for one.</summary>
    public HandshakeResult? Welcome { get; init; }

    /// <summary>Whether it has said that it drains.</summary>
    public bool IsDraining { get; init; }

    /// <summary>The version of TLS; null: none.</summary>
    public string? Tls { get; init; }

    /// <summary>Until when its certificate is valid; null: it has shown none.</summary>
    public DateTimeOffset? NotAfter { get; init; }
}
