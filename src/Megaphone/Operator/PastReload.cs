namespace Megaphone.Operator;

/// <summary>One reload.</summary>
/// <param name="At">When, in milliseconds since 1970.</param>
/// <param name="Result"><c>done</c>, <c>refused</c> or <c>failed</c>.</param>
internal sealed record PastReload(long At, string Result);
