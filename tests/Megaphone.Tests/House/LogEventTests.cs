using System.Reflection;
using Megaphone.Links;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Megaphone.Tests.House;

public class LogEventTests
{
    [Fact]
    public void No_two_lines_of_the_log_have_one_event_id()
    {
        Assembly[] assemblies = [typeof(Link).Assembly, typeof(Megaphone.Hosting.ServiceHost).Assembly];
        (string Line, int Id)[] lines =
        [
            .. assemblies.SelectMany(assembly => assembly.GetTypes())
                .SelectMany(type => type.GetMethods(BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic))
                .Select(method => ($"{method.DeclaringType}.{method.Name}", method.GetCustomAttribute<LoggerMessageAttribute>()?.EventId ?? -1))
                .Where(line => line.Item2 >= 0),
        ];

        Assert.True(lines.Length > 50);
        Assert.Empty(lines.GroupBy(line => line.Id).Where(same => same.Count() > 1).Select(same => string.Join(" and ", same)));
    }
}
