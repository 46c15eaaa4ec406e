namespace Megaphone.Preflight;

/// <summary>How serious a finding of <c>megaphone check</c> is.</summary>
internal enum Verdict
{
    /// <summary>Sufficient.</summary>
    Ok,

    /// <summary>It works, but with limits.</summary>
    Warn,

    /// <summary>The configuration cannot work.</summary>
    Fail,
}
