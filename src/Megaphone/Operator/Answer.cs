namespace Megaphone.Operator;

/// <summary>What has come of an order.</summary>
/// <param name="Message">In one line.</param>
internal sealed record Answer(string Message);
