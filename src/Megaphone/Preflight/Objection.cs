namespace Megaphone.Preflight;

/// <summary>Why a server that is there takes no link.</summary>
internal enum Objection
{
    /// <summary>It takes one.</summary>
    None,

    /// <summary>The two ends do not agree on TLS.</summary>
    Tls,

    /// <summary>It has answered the <c>hello</c> with <c>refuse</c>.</summary>
    Refused,

    /// <summary>It has answered something else, or ended the connection.</summary>
    NoLink,

    /// <summary>It has answered nothing in time.</summary>
    Silent,
}
