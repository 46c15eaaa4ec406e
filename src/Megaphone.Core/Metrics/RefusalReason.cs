namespace Megaphone.Metrics;

/// <summary>Why a connecting client or link was refused: the <c>reason</c> label of <c>megaphone_refused_total</c>.</summary>
internal enum RefusalReason
{
    /// <summary>No link is up, or every link is draining.</summary>
    NoLink,

    /// <summary>This process drains.</summary>
    Draining,

    /// <summary>The link is so full that not even the packet that opens a session found room.</summary>
    LinkFull,

    /// <summary>There were <c>MaxClients</c> or <c>MaxLinks</c> already.</summary>
    TooMany,

    /// <summary>The process or the machine has no descriptor left (EMFILE, ENFILE), or only those that are kept back from clients.</summary>
    Descriptors,

    /// <summary>The machine has no memory left for a socket (ENOMEM, ENOBUFS).</summary>
    Memory,

    /// <summary>The link's <c>hello</c> was not acceptable: secret or version.</summary>
    Hello,

    /// <summary>The link did not speak TLS where that is required, or its certificate was not accepted.</summary>
    Tls,

    /// <summary>The client of a listener for the web did not send the head of its request in time.</summary>
    NoRequest,

    /// <summary>A limit kept the client out: <c>megaphone_limited_total</c> says which.</summary>
    Limited,

    /// <summary>A proxy did not begin with a PROXY header that is well formed.</summary>
    ProxyHeader,
}
