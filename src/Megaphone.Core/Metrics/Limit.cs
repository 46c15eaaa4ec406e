namespace Megaphone.Metrics;

/// <summary>Which of the limits for clients kept one out, or ended it: the <c>limit</c> label of <c>megaphone_limited_total</c>.</summary>
internal enum Limit
{
    /// <summary>Its address is one that is denied, or not among those that are allowed.</summary>
    Denied,

    /// <summary>Its address had <c>PerAddress</c> connections.</summary>
    PerAddress,

    /// <summary>Its address had brought <c>PerAddressRate</c> connections in a second.</summary>
    PerAddressRate,

    /// <summary>The IPv6 network around its own had as many connections as that may have.</summary>
    PerSite,

    /// <summary>The IPv6 network around its own had brought as many connections in a second as that may.</summary>
    PerSiteRate,

    /// <summary>It had not logged in within <c>LoginTimeout</c>.</summary>
    LoginTimeout,

    /// <summary>It had waited for its turn to log in for as long as <c>Logins:MaxWait</c>.</summary>
    LoginWait,

    /// <summary>It sent a longer piece of its stream than is accepted before the login.</summary>
    BeforeLogin,

    /// <summary>It gave way: the memory for stanzas of those who had not logged in was used up, and it was the worst of some.</summary>
    IncompleteBytes,

    /// <summary>The rest of a stanza that it had begun did not come in time.</summary>
    StanzaTimeout,

    /// <summary>All <c>MaxHandshakes</c> places were in use: counted each time that a listener has to wait for one.</summary>
    MaxHandshakes,

    /// <summary>It gave way: it had not logged in when all <c>MaxClients</c> places were in use, and its address had more such than others.</summary>
    MaxClients,

    /// <summary>
    /// It gave way: it had said nothing, or not gone on for a while, when all places for handshakes were in use, and its address had more of
    /// them than others.
    /// </summary>
    SlowHandshake,

    /// <summary>It gave way: it had not logged in when all descriptors for clients were in use, and its address had more such than others.</summary>
    Descriptors,
}
