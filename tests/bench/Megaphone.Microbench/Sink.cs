namespace Megaphone.Microbench;

/// <summary>Takes results, so that the compiler cannot leave out the work that made them.</summary>
internal static class Sink
{
    /// <summary>The last result.</summary>
    public static ulong Value { get; set; }
}
