# Each line of vectors/expected is an image, its class and all scores.
test: heqclass
	@cd vectors && ../heqclass *.p?m > out && cmp out expected && rm -f out && \
		echo "all scores as expected"
