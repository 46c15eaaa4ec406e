namespace Megaphone.Links;

/// <summary>The result of a link's TLS handshake.</summary>
/// <param name="Secured">The TLS stream, if the handshake succeeded.</param>
/// <param name="Refusal">Why the listening end refuses the link nevertheless: its hello is answered with this reason, and
/// nothing else is accepted from it. Without <paramref name="Secured"/> it does not speak TLS.</param>
/// <param name="Failure">Why the handshake failed.</param>
/// <param name="Abandoned">With a failure: the other end had not sent anything.</param>
internal readonly record struct TlsHandshakeResult(
    SecuredSocket? Secured = null, string? Refusal = null, string? Failure = null, bool Abandoned = false);
