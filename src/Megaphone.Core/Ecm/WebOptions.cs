using System.Net;
using System.Text;

namespace Megaphone.Ecm;

/// <summary>The settings of a listener for the web.</summary>
internal sealed record WebOptions
{
    /// <summary>The path of the WebSocket, as clients must write it. Default <c>/ws</c>.</summary>
    public string Path { get; init; } = "/ws";

    /// <summary>
    /// The origins whose pages may connect, like <c>https://example.org</c>; <c>*</c> is any. Default any. Clients that send none are no pages.
    /// </summary>
    public IReadOnlyList<string> Origins { get; init; } = [AnyOrigin];

    /// <summary>
    /// The silence after which a WebSocket client is sent a ping at the latest; zero: never. Whole seconds, default 50 s: many proxies cut after 60.
    /// </summary>
    public TimeSpan Ping { get; init; } = TimeSpan.FromSeconds(50);

    /// <summary>Where all other connections are relayed to; null: they are refused in words. Default null.</summary>
    public IPEndPoint? HttpTo { get; init; }

    /// <summary>The proxies that are believed when they say who their client is. Default none.</summary>
    public IReadOnlyList<IPNetwork> ForwardedFrom { get; init; } = [];

    /// <summary>Whether those who connect over a Unix socket are. Default no.</summary>
    public bool ForwardedFromUnix { get; init; }

    /// <summary>By which <see cref="Origins"/> allows pages of any.</summary>
    public const string AnyOrigin = "*";

    /// <summary>Whether pages of an origin, as a request names it, may connect.</summary>
    public bool Allows(ReadOnlySpan<byte> origin)
    {
        if (origin.IsEmpty) return true;
        foreach (string allowed in Origins)
        {
            if (allowed == AnyOrigin || Ascii.EqualsIgnoreCase(origin, allowed)) return true;
        }

        return false;
    }
}
